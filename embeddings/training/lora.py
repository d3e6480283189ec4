"""Low-rank updates of a language model through PEFT, put in and merged (LoRA: Hu et al., ICLR 2022)."""

from __future__ import annotations

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from copyloom import InputError
from generator.language_model import LanguageModel


def check_installed() -> None:
    """Raise unless PEFT is there."""
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise InputError("stage 'lora' needs the package PEFT: pip install 'copyloom[adapters]'") from error


def put_in(model: LanguageModel, rank: int, seed: int) -> Any:
    """Put low-rank updates that change nothing yet into every matrix but the head; they alone are to be trained.

    Returns
    -------
    peft.PeftModel
        Whose ``merge_and_unload()`` adds them to the matrices.

    Raises
    ------
    InputError
        If PEFT is not installed, or does not know where to put them.
    """
    check_installed()
    from peft import LoraConfig, get_peft_model

    transposed = any(isinstance(part, Conv1D) for part in model.model.modules())
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", fan_in_fan_out=transposed)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return get_peft_model(model.model, config)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"model {model.name!r} takes no low-rank updates ({str(error).splitlines()[0]}); use stage 'model'"
        ) from error
