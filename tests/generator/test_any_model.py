"""What holds for every architecture: vectors read as their tokens do, and decoding is a plain loop, for any batch."""

from dataclasses import replace

import pytest
import torch
import transformers

from copyloom import InputError
from generator.decoding import Prefix, decode
from generator.device import Device
from generator.language_model import LanguageModel

GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 5}
HALF_SLIDING = {"layer_types": ["sliding_attention", "full_attention"]}
MAMBA2 = {"num_heads": 4, "head_dim": 8, "n_groups": 2, "state_size": 8, "chunk_size": 4}
ARCHITECTURES = {
    "GPT2": {},
    "GPTNeo": {"attention_types": [[["global", "local"], 1]], "window_size": 5},
    "OPT": {"word_embed_proj_dim": 16, "ffn_dim": 32},
    "OPT projected": {"word_embed_proj_dim": 8, "ffn_dim": 32},
    "GPTNeoX": {},
    "Bloom": {},
    "Llama": {},
    "Llama tied": {"tie_word_embeddings": True},
    "Qwen2": {"num_key_value_heads": 1},
    "Qwen2 sliding": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "Qwen3": {"head_dim": 8},
    "Mistral": {"sliding_window": None},
    "Mistral sliding": {"sliding_window": 5},
    "Gemma": {"head_dim": 8},
    "Gemma2": GEMMA | HALF_SLIDING | {"final_logit_softcapping": 30.0},
    "Gemma3Text": GEMMA | HALF_SLIDING,
    "Phi": {},
    "Granite": {"logits_scaling": 8.0, "embedding_multiplier": 12.0},
    "Mamba": {},
    "Mamba2": MAMBA2,
    "FalconMamba": {},
    "Cohere": {},
    "Phi3": {"pad_token_id": 0},
    "Falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "Mpt": {"max_seq_len": 64},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
}
NOT_LINEAR = {"Gemma2", "Granite", "Cohere"}
UNLIMITED = {"Bloom", "Mamba", "Mamba2", "FalconMamba"}
TOKENS = 14
PRESENT = [[True, False, True, False], [False, True, True, True], [False] * 4]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request, random_model):
    return random_model(f"{request.param.split()[0]}Config", **ARCHITECTURES[request.param])


@pytest.fixture
def name(request):
    """The model's name in `ARCHITECTURES`."""
    return request.node.callspec.params["model"]


@pytest.fixture(scope="module", params=["growing", "fixed"])
def either_cache(request, model):
    """The model with each of the two caches: the CPU's, and the one for devices that compile shapes."""
    if request.param == "growing":
        return model
    if model.model.config.model_type == "gpt_neo":
        pytest.skip("refused on such devices")
    return with_device(model, OneShape("cpu", "for a test", 24))


class OneShape(Device):
    """A processor that claims to compile shapes."""

    compiles_shapes = True


def with_device(model, device):
    return LanguageModel(model.model, model.tokenizer, model.name, device)


def rows(model, count, seed=1):
    return torch.randn(count, 3, model.hidden_size, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def recomputed(model, vectors, tokens=TOKENS):
    """Return ids and whether the text ended: everything computed anew at each step, no cache, no mask."""
    inputs, ids = vectors, torch.zeros(len(vectors), 0, dtype=torch.long)
    for _ in range(tokens):
        token = model.model(inputs_embeds=inputs, use_cache=False).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, token], 1)
        inputs = torch.cat([inputs, model.embed(token)], 1)
    return [
        (tuple(row[: row.index(model.end)]), True) if model.end in row else (tuple(row), False) for row in ids.tolist()
    ]


def plain(decoded):
    return [(result.ids, result.finished) for result in decoded]


def test_vectors_read_as_the_tokens_they_stand_for(model):
    ids = torch.tensor([[5, 250, 17, 17, 3], [9, 0, 1, 256, 8]])
    with torch.inference_mode():
        from_ids = model.model(input_ids=ids, use_cache=False).logits
        assert torch.equal(model.logits(model.embed(ids)), from_ids)
    model._check_reading()


def test_the_linear_head_leads_from_hidden_states_to_logits(model, name):
    head, inputs = model.linear_head, rows(model, 4)
    if name in NOT_LINEAR:
        assert head is None
        return
    logits = model.hidden(inputs) @ head.weight.T + (0 if head.bias is None else head.bias)
    torch.testing.assert_close(logits, model.logits(inputs), rtol=1e-5, atol=1e-5)
    assert logits.shape == (4, 3, 257)


def test_hidden_states_and_logits_have_one_gradient(model):
    """The gradient of the last logits with respect to the first vector, through `hidden` and through `logits`."""
    inputs = rows(model, 2).requires_grad_(True)
    weights = torch.randn(257, generator=torch.Generator().manual_seed(5))
    (expected,) = torch.autograd.grad((model.logits(inputs)[:, -1] @ weights).sum(), inputs)
    assert bool((expected[:, 0].norm(dim=-1) > 1e-4).all())
    if model.linear_head is not None:
        bias = 0 if model.linear_head.bias is None else model.linear_head.bias
        logits = model.hidden(inputs)[:, -1] @ model.linear_head.weight.T + bias
        (found,) = torch.autograd.grad((logits @ weights).sum(), inputs)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_decoding_is_the_recomputed_loop_token_for_token(either_cache):
    """Texts thrice as long as the sliding windows."""
    vectors = rows(either_cache, 30)
    decoded = decode(either_cache, vectors, max_tokens=TOKENS)
    assert plain(decoded) == recomputed(either_cache, vectors)
    assert len({result.ids for result in decoded}) > 10


@pytest.mark.parametrize("architecture", ["GPT2", "Mistral sliding", "Gemma2", "Mamba"])
def test_long_texts_outgrow_the_cache_and_stay_right(random_model, architecture):
    model = random_model(f"{architecture.split()[0]}Config", **ARCHITECTURES[architecture])
    vectors = rows(model, 5)
    assert plain(decode(model, vectors, max_tokens=61)) == recomputed(model, vectors, 61)


def test_a_prefix_is_only_vectors_in_front(either_cache):
    front, vectors = torch.randn(5, either_cache.hidden_size), rows(either_cache, 6)
    decoded = decode(either_cache, vectors, Prefix(front, torch.ones(5, dtype=torch.bool)), TOKENS)
    assert plain(decoded) == recomputed(either_cache, torch.cat([front.expand(6, -1, -1), vectors], 1))


@pytest.mark.parametrize("present", PRESENT)
def test_masked_positions_are_not_seen(either_cache, present):
    vectors, front, mask = rows(either_cache, 6), torch.randn(4, either_cache.hidden_size), torch.tensor(present)
    other = torch.where(mask[:, None], front, 9 * torch.randn(4, either_cache.hidden_size))
    with_one, with_other = (decode(either_cache, vectors, Prefix(values, mask), TOKENS) for values in (front, other))
    assert with_one == with_other


def test_a_text_is_the_same_in_any_company(model):
    """Ids and margins are equal to the last bit, alone, in any order, and with more rows than one step has."""
    few = with_device(model, replace(model.device, decode_rows=16))
    vectors = rows(model, 37)
    texts = decode(few, vectors, max_tokens=TOKENS)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(2))
    assert decode(few, vectors[order], max_tokens=TOKENS) == [texts[i] for i in order]
    assert [decode(few, vectors[i : i + 1], max_tokens=TOKENS)[0] for i in (0, 20, 36)] == [
        texts[i] for i in (0, 20, 36)
    ]


def test_finished_rows_change_nothing(model):
    """With a common token as its end, many texts end early: each is the longer text, cut there."""
    device = replace(model.device, decode_rows=30)  # all of them are asked for: there is no end to fill up with
    vectors, endless, ending = rows(model, 30), with_device(model, device), with_device(model, device)
    endless.end = -1
    whole = decode(endless, vectors, max_tokens=TOKENS)
    ending.end = torch.tensor([result.ids for result in whole])[:, 3:].mode().values[0].item()
    for long, short in zip(whole, decode(ending, vectors, max_tokens=TOKENS), strict=True):
        assert short.finished == (ending.end in long.ids)
        assert short.ids == (long.ids[: long.ids.index(ending.end)] if short.finished else long.ids)
        assert short.margin >= long.margin


def test_the_margin_is_the_least_lead_of_the_text_read_back(model):
    ending = with_device(model, model.device)
    vectors = rows(model, 12)
    ending.end = decode(model, vectors, max_tokens=TOKENS)[0].ids[5]
    decoded = decode(ending, vectors, max_tokens=TOKENS)
    assert decoded[0].finished
    for row, result in zip(vectors, decoded, strict=True):
        emitted = torch.tensor([*result.ids, ending.end] if result.finished else result.ids)
        with torch.inference_mode():
            logits = model.logits(torch.cat([row, model.embed(emitted[:-1])])[None])[0, 2:]
        rivals = logits.scatter(1, emitted[:, None], -torch.inf).amax(1)
        least = (logits.gather(1, emitted[:, None])[:, 0] - rivals).min()
        assert result.margin == pytest.approx(float(least), abs=2e-3 * float(logits.abs().max()))


def test_positions_are_those_that_the_model_has(model, name):
    if name in UNLIMITED:
        assert model.positions == 1_000_000
        return
    assert model.positions == 64
    assert len(decode(model, rows(model, 1), max_tokens=61)) == 1
    with pytest.raises(InputError, match="max_tokens=62 need 65 positions"):
        decode(model, rows(model, 1), max_tokens=62)


def test_local_attention_is_refused_where_the_cache_has_one_length(random_model):
    model = random_model("GPTNeoConfig", **ARCHITECTURES["GPTNeo"])
    with pytest.raises(InputError, match="gpt_neo: its local attention cannot use the cache of fixed length that cpu"):
        with_device(model, OneShape("cpu", "for a test", 24))


@pytest.mark.parametrize(
    ("kind", "sizes", "reason"),
    [
        ("OpenAIGPT", {"n_embd": 16, "n_layer": 1, "n_head": 2}, "openai-gpt: it keeps no cache"),
        ("CpmAnt", {"hidden_size": 16, "num_hidden_layers": 1, "dim_ff": 32}, "cpmant: .* takes no inputs_embeds"),
        ("XLSTM", {"hidden_size": 64, "num_heads": 2, "num_hidden_layers": 1}, "xlstm: it keeps a state of its own"),
    ],
)
def test_models_that_cannot_be_decoded_are_refused_with_the_reason(byte_tokenizer, kind, sizes, reason):
    name = "xLSTMConfig" if kind == "XLSTM" else f"{kind}Config"
    config = getattr(transformers, name)(vocab_size=257, **sizes)
    unfit = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(InputError, match=rf"model 'unfit' is of type {reason}.*choose a decoder-only model"):
        LanguageModel(unfit, byte_tokenizer, "unfit", Device.choose("cpu"))
