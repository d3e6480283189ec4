"""Any causal model behind one class: frozen, identified by its parameters, reading text as plain letters."""

import copy
import json
import re
import shutil

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from copyloom import InputError
from generator.decoding import decode
from generator.device import Device
from generator.language_model import SHIPPED_FOLDER, LanguageModel, hash_of
from generator.record import SLOTS

SPECIAL = ["<|end|>", "<|pad|>", "<a>", *SLOTS]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(st.sampled_from(SPECIAL), st.text(max_size=5)), max_size=8).map("".join),
)

SMALL = {
    "Bert": transformers.BertConfig(
        vocab_size=257, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    ),
    "T5": transformers.T5Config(vocab_size=257, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2),
    "Bart": transformers.BartConfig(
        vocab_size=257, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
    ),
    "Gemma3nText": transformers.Gemma3nTextConfig(
        vocab_size=257, vocab_size_per_layer_input=257, hidden_size=16, hidden_size_per_layer_input=8, head_dim=8,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, intermediate_size=32, laurel_rank=4,
        num_kv_shared_layers=0, layer_types=["full_attention"] * 2, activation_sparsity_pattern=None,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def model(space):
    return space.model


@given(text=TEXTS)
def test_any_text_comes_back_from_its_tokens(model, text):
    assert model.detokenize(model.tokenize(text)) == text


@given(text=TEXTS)
def test_names_of_special_tokens_are_plain_letters(model, text):
    special = set(model.tokenizer.convert_tokens_to_ids([*SPECIAL]))
    assert special.isdisjoint(model.tokenize(text))


def test_the_slots_are_single_tokens_written_out(model):
    """What training puts in place of a product's facts, and `generator.record.fill` reads."""
    for slot in SPECIAL[2:]:
        token = model.tokenizer.convert_tokens_to_ids(slot)
        assert model.detokenize([token]) == slot
        assert model.tokenize(slot) != [token]


def test_the_shipped_parameters_fit_into_the_package():
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.rglob("*") if file.is_file()) <= 25e6


def test_parameters_are_frozen(model):
    assert not model.model.training
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_embeddings_are_rows_of_the_input_table(model):
    ids = torch.tensor([[5, 7], [7, 9]])
    embedded = model.embed(ids)
    assert embedded.shape == (2, 2, model.hidden_size)
    assert torch.equal(embedded[0, 1], model.model.get_input_embeddings().weight[7])


def test_the_identity_follows_parameters_and_nothing_else(random_model):
    first, second, wider = random_model(), random_model(), random_model(intermediate_size=48)
    assert first.identity == second.identity
    assert first.identity.parameters != wider.identity.parameters
    assert first.identity.tokenizer == wider.identity.tokenizer
    assert first.identity.hidden_size == 16
    changed = random_model()
    with torch.no_grad():
        next(changed.model.parameters())[0, 0] += 1e-4
    assert changed.identity.parameters != first.identity.parameters


def test_positions_are_those_of_the_configuration(random_model):
    assert random_model("LlamaConfig").positions == 64
    assert random_model("GPT2Config").positions == 64
    assert random_model("BloomConfig", max_position_embeddings=None).positions >= 100_000  # has no limit


def test_a_saved_model_loads_as_the_same(tmp_path, random_model):
    model = random_model("GPT2Config")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    loaded = LanguageModel.load(str(tmp_path), Device.choose("cpu"))
    assert loaded.identity.parameters == model.identity.parameters
    assert loaded.identity.tokenizer == model.identity.tokenizer
    assert loaded.name == str(tmp_path)
    assert loaded.tokenize("é <|end|>") == model.tokenize("é <|end|>")


@pytest.mark.parametrize("name", ["/no/such/model", "./no-such-model", "~/no-such-model", "../no-such-model"])
def test_unknown_folders_are_refused_with_what_to_give(name):
    with pytest.raises(InputError, match=f"no model folder at '{name}'; give 'copyloom-tiny', a folder or a hub id"):
        LanguageModel.load(name)


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "nobody/no-such-model", "not a name!"])
def test_unknown_hub_ids_are_refused(name):
    with pytest.raises(InputError, match=f"model '{name}' cannot be loaded"):
        LanguageModel.load(name)


def copied(folder):
    return shutil.copytree(SHIPPED_FOLDER, folder, dirs_exist_ok=True)


def changed(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_a_folder_without_the_last_layer_is_refused(tmp_path, random_model, byte_tokenizer):
    """Transformers would make up random parameters for it."""
    random_model("LlamaConfig").model.base_model.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"lacks 1 of its tensors, such as lm_head\.weight"):
        LanguageModel.load(str(tmp_path), Device.choose("cpu"))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_broken_folders_are_refused(tmp_path, file):
    copied(tmp_path).joinpath(file).write_text("{")
    with pytest.raises(InputError, match="cannot be loaded"):
        LanguageModel.load(str(tmp_path))


def test_folders_without_weights_or_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        LanguageModel.load(str(tmp_path))
    copied(tmp_path).joinpath("model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        LanguageModel.load(str(tmp_path))


def test_truncated_weights_are_refused(tmp_path):
    weights = copied(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded"):
        LanguageModel.load(str(tmp_path))


@pytest.mark.parametrize(
    "quantised",
    [{"quant_method": "gptq", "bits": 4}, {"quant_method": "awq", "bits": 4},
     {"quant_method": "bitsandbytes", "load_in_4bit": True}],
)  # fmt: skip
def test_quantised_folders_without_their_package_are_refused(tmp_path, quantised):
    changed(copied(tmp_path), quantization_config=quantised)
    with pytest.raises(InputError, match=r"cannot be loaded: .*install"):
        LanguageModel.load(str(tmp_path))


def test_a_vocabulary_of_another_size_than_the_weights_is_refused(tmp_path):
    changed(copied(tmp_path), vocab_size=4100)
    with pytest.raises(InputError, match=r"other shapes than its config\.json says"):
        LanguageModel.load(str(tmp_path))


def test_a_text_with_a_token_beyond_the_embeddings_is_refused(tmp_path):
    copied(tmp_path)
    tokenizer = LanguageModel.load(str(tmp_path)).tokenizer
    tokenizer.add_tokens(["zyxomat"])
    tokenizer.save_pretrained(tmp_path)
    model = LanguageModel.load(str(tmp_path))
    with pytest.raises(InputError, match=r"holds the token 'zyxomat', number 4096, but model .* has 4096 embeddings"):
        model.tokenize("A zyxomat for all.")
    assert model.tokenize("A kettle for all.")


def test_tensors_without_dimensions_have_a_hash():
    scale = {"scale": torch.tensor(2.0)}
    assert hash_of(scale) == hash_of({"scale": torch.tensor([2.0])}) != hash_of({"scale": torch.tensor(3.0)})


OWN_CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({ran!r}).touch()

class OwnConfig(LlamaConfig):
    model_type = "own-llama"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """The folder of a model that brings code of its own, and a file that is there once the code has run."""
    folder, ran = tmp_path / "own_llama", tmp_path / "ran"
    changed(copied(folder), model_type="own-llama", architectures=["OwnModel"],
            auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"})  # fmt: skip
    (folder / "own.py").write_text(OWN_CODE.format(ran=str(ran)))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path / "cache"))
    return folder, ran


def test_code_of_a_folder_is_not_run_and_nobody_is_asked(own_code, monkeypatch):
    folder, ran = own_code
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(InputError, match=r"brings code of its own.*--trust-remote-code"):
        LanguageModel.load(str(folder))
    assert not ran.exists()


def test_code_that_is_trusted_runs_and_is_part_of_the_identity(own_code, model):
    folder, ran = own_code
    identity = LanguageModel.load(str(folder), trust_remote_code=True).identity
    assert ran.exists()
    assert re.fullmatch(r"[0-9a-f]{16} and code [0-9a-f]{16}", identity.parameters)
    assert identity.parameters.startswith(hash_of(model.model.state_dict()))


class Endless:
    """A tokenizer without end-of-text."""

    eos_token_id = None


@pytest.mark.parametrize(
    ("generation", "configuration", "end"), [(7, 9, 7), ([11, 12], 9, 11), (None, [9, 8], 9), (257, 9, 9), ([], 5, 5)]
)
def test_the_end_of_text_comes_from_the_settings_where_the_tokenizer_has_none(
    random_model, generation, configuration, end
):
    """The model has 257 tokens, so 257 is none of them."""
    model = random_model().model
    model.generation_config.eos_token_id, model.config.eos_token_id = generation, configuration
    assert LanguageModel(model, Endless(), "endless", Device.choose("cpu")).end == end


@pytest.mark.parametrize("end", [None, 257, -1, []])
def test_a_model_without_end_of_text_is_refused_with_what_to_do(random_model, end):
    model = random_model().model
    model.generation_config.eos_token_id = model.config.eos_token_id = end
    with pytest.raises(InputError, match=r"'endless' has no end-of-text token.*set eos_token in its tokenizer_config"):
        LanguageModel(model, Endless(), "endless", Device.choose("cpu"))


def test_neither_padding_nor_end_in_the_tokenizer_is_needed_to_decode(byte_tokenizer, random_model):
    tokenizer = copy.deepcopy(byte_tokenizer)
    tokenizer.eos_token = None
    assert tokenizer.pad_token_id is None
    found = LanguageModel(random_model().model, tokenizer, "plain", Device.choose("cpu"))
    assert found.end == 0
    assert decode(found, torch.ones(2, 3, 16), max_tokens=5) == decode(
        random_model(), torch.ones(2, 3, 16), max_tokens=5
    )


def test_tokens_that_the_tokenizer_lacks_are_written_as_nothing(random_model):
    """Many models have more rows in their tables than their tokenizers have tokens."""
    model = random_model(vocab_size=300)
    assert model.detokenize([*model.tokenize("a"), 299, *model.tokenize("b")]) == "ab"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Bert", "is of type bert: it looks ahead"),
        ("T5", "is of type t5: it needs an encoder"),
        ("Bart", "is of type bart: it needs an encoder"),
        ("Gemma3nText", "is of type gemma3n_text: it reads vectors otherwise than the tokens"),
    ],
)
def test_saved_models_of_other_kinds_are_refused_with_the_reason(tmp_path, byte_tokenizer, name, reason):
    with_head = name in ("Bert", "Gemma3nText")
    model = (transformers.AutoModelForCausalLM if with_head else transformers.AutoModel).from_config(SMALL[name])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"{reason}.*choose a decoder-only model"):
        LanguageModel.load(str(tmp_path), Device.choose("cpu"))


def test_a_lone_surrogate_is_refused(model):
    """Such a text cannot be written to a file either; Python makes one from bytes with ``surrogateescape``."""
    with pytest.raises(InputError):
        model.tokenize("\ud800")
