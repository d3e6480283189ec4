"""A small random model in a folder, short texts, and factorised ratings that were made up."""

import pytest
import torch

from embeddings.training.config import AdapterTraining

NOUNS = ["tea", "mug", "pan", "hat", "bag", "pen"]
SAYINGS = ["A {}.", "Buy the {}!", "Our {} is new.", "Why a {}?"]


@pytest.fixture(scope="session")
def texts():
    return [saying.format(noun) for saying in SAYINGS for noun in NOUNS]


@pytest.fixture(scope="session")
def save_model(random_model):
    """A function that writes a random model of an architecture to a folder, as Hugging Face saves models."""

    def save(folder, architecture="LlamaConfig", **changes):
        model = random_model(architecture, hidden_size=64, max_position_embeddings=128, **changes)
        model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return str(folder)

    return save


@pytest.fixture(scope="session")
def base(save_model, tmp_path_factory):
    """The folder of a small Llama."""
    return save_model(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="session")
def config(base, small_encoder):
    return AdapterTraining(
        model=base, encoder=small_encoder, stage="adapter", per_text=8, width=64, rows=16, held_out=0.2, judged=4,
        adapter_steps=30, joint_steps=30, evaluate_every=15, warmup=2, adapter_rate=0.01,
        joint_adapter_rate=0.01, model_rate=0.01, lora_rate=0.01, lora_rank=4,
    )  # fmt: skip


@pytest.fixture(scope="session")
def ratings(texts):
    """Vectors of texts from ratings by made-up users: a masked matrix of rank 6, factorised anew."""
    rng = torch.Generator().manual_seed(0)
    users = torch.randn(40, 6, generator=rng)
    tastes = torch.randn(6, len(texts), generator=rng)
    seen = torch.rand(40, len(texts), generator=rng) < 0.7
    _, scales, items = torch.linalg.svd(seen * (users @ tastes), full_matrices=False)
    return (items[:6] * scales[:6, None]).T.contiguous()
