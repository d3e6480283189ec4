"""Hooks that shift a model's layers and heads: what they add, that decoding runs them, and that none is left."""

import pytest
import torch
from torch.nn.functional import normalize

from copyloom import InputError
from generator.decoding import decode
from generator.device import Device
from generator.interventions import Shift, head_projections, heads_of, intervening, layers_of, recording
from generator.language_model import LanguageModel

FAMILIES = ("LlamaConfig", "GPT2Config", "GPTNeoXConfig", "Qwen2Config", "OPTConfig", "BloomConfig", "PhiConfig")


class OneShape(Device):
    """A processor that claims to compile shapes, so that decoding takes the cache of fixed length."""

    compiles_shapes = True


def noise(*shape, scale=1.0, seed=0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hooks_in(model):
    """Return how many forward hooks any part of a model has."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_hands_on_its_states_and_the_vector(family, random_model):
    model, inputs = random_model(family), noise(2, 5, 16)
    vector = noise(16, seed=1)
    with torch.no_grad(), recording(model) as recorded:
        model.hidden(inputs)
        before = dict(recorded.layers)
        with intervening(model, [Shift("layer", 0, vector)]), recording(model) as moved:  # sees what was shifted
            model.hidden(inputs)
    torch.testing.assert_close(moved.layers[0], before[0] + vector)
    assert not torch.allclose(moved.layers[1], before[1])
    assert not hooks_in(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_are_what_the_projection_reads(family, random_model):
    """A shift of one head alone changes that head, and the layer by the projection of the shift."""
    model, inputs = random_model(family), noise(2, 5, 16)
    vector = torch.zeros(2, 8)
    vector[1] = noise(8, seed=1)
    with torch.no_grad():
        with recording(model) as before:
            model.hidden(inputs)
        with intervening(model, [Shift("heads", 1, vector)]), recording(model) as after:
            model.hidden(inputs)
        place = head_projections(model)[1]
        added = place(vector.view(1, -1)) - place(torch.zeros(1, 16))
    torch.testing.assert_close(after.heads[1] - before.heads[1], vector.expand(2, 5, 2, 8))
    torch.testing.assert_close(after.layers[0], before.layers[0])
    if family not in ("OPTConfig", "LlamaConfig", "Qwen2Config", "GPT2Config", "BloomConfig"):  # side by side with it
        torch.testing.assert_close(after.layers[1] - before.layers[1], added.expand(2, 5, 16), rtol=1e-4, atol=1e-4)


def test_positions_and_lengths():
    """The last alone; the first P of readings that long; and, with the length kept, a turn and no stretch."""
    states, vector = noise(3, 6, 8), noise(8, seed=1)
    last = Shift("layer", 0, vector, positions="last").of(states)
    assert torch.equal(last[:, :-1], states[:, :-1])
    torch.testing.assert_close(last[:, -1], states[:, -1] + vector)
    front = noise(4, 8, seed=2)
    shift = Shift("layer", 0, front, positions="front")
    torch.testing.assert_close(shift.of(states)[:, :4], states[:, :4] + front)
    with pytest.raises(InputError, match="a front of one vector"):
        Shift("layer", 0, front[:1], positions="front").of(states)
    assert torch.equal(shift.of(states)[:, 4:], states[:, 4:])
    assert torch.equal(shift.of(states[:, :1]), states[:, :1])  # one token of a text that is being written
    turned = Shift("layer", 0, vector, keeps_length=True).of(states)
    torch.testing.assert_close(turned.norm(dim=-1), states.norm(dim=-1))
    torch.testing.assert_close(normalize(turned, dim=-1), normalize(normalize(states, dim=-1) + vector, dim=-1))


@pytest.mark.parametrize("cache", ["growing", "fixed"])
@pytest.mark.parametrize("shift", [
    Shift("layer", 0, noise(16, scale=3.0)), Shift("layer", 1, noise(16, scale=2.0), keeps_length=True),
    Shift("heads", 0, noise(2, 8, scale=3.0), positions="last"),
    Shift("layer", 0, noise(3, 16, scale=3.0), positions="front"),
], ids=["layer", "length kept", "heads", "front"])  # fmt: skip
def test_cached_decoding_is_the_plain_loop_with_the_hooks(cache, shift, random_model):
    """Every step anew over all that was read, hooks and all, writes what the cache writes; without them, else."""
    model = random_model()
    if cache == "fixed":
        model = LanguageModel(model.model, model.tokenizer, model.name, OneShape("cpu", "for a test", 24))
    vectors = noise(10, 3, 16, seed=4)
    with intervening(model, [shift]):
        found = decode(model, vectors, max_tokens=8)
        assert decode(model, vectors.flip(0), max_tokens=8)[::-1] == found
        assert decode(model, vectors[3:5], max_tokens=8) == found[3:5]
    assert [one.ids for one in found] == plainly(model, vectors, shift, 8)
    assert found != decode(model, vectors, max_tokens=8)
    assert not hooks_in(model)


@torch.inference_mode()
def plainly(model, vectors, shift, tokens):
    """Return what is written if all is read anew for each token: shifts of the last place stay where they were made."""
    inputs, written, first = vectors, [[] for _ in vectors], vectors.shape[1] - 1
    layers = layers_of(model)
    place = layers[shift.layer] if shift.site == "layer" else head_projections(model)[shift.layer]

    def from_first(states):
        if shift.positions == "last":
            return torch.cat([states[:, :first], Shift(shift.site, shift.layer, shift.vector).of(states[:, first:])], 1)
        return shift.of(states)

    def after(_, inputs, output):
        return (from_first(output[0]), *output[1:]) if isinstance(output, tuple) else from_first(output)

    def before(_, inputs):
        return (from_first(inputs[0]), *inputs[1:])

    hook = place.register_forward_hook(after) if shift.site == "layer" else place.register_forward_pre_hook(before)
    with hook:
        for _ in range(tokens):
            token = model.model(inputs_embeds=inputs, use_cache=False).logits[:, -1].argmax(-1)
            inputs = torch.cat([inputs, model.embed(token[:, None])], 1)
            for row, one in zip(written, token.tolist(), strict=True):
                row.append(one)
    return [tuple(row[: row.index(model.end)] if model.end in row else row) for row in written]


def test_no_hook_is_left_after_an_error_and_none_is_set_by_a_wrong_one(random_model):
    model, right = random_model(), Shift("layer", 0, torch.zeros(16))
    with pytest.raises(RuntimeError, match="of mine"), intervening(model, [right]), recording(model):
        raise RuntimeError("of mine")
    for wrong, message in (
        (Shift("layer", 2, torch.zeros(16)), "no layer 2; model 'random LlamaConfig' has layers 0 to 1"),
        (Shift("layer", 0, torch.zeros(8)), r"needs a finite one of shape \(16\)"),
        (Shift("heads", 0, torch.zeros(16)), r"needs a finite one of shape \(2, 8\)"),
        (Shift("layer", 0, torch.full((16,), torch.nan)), "or NaN"),
        (Shift("layer", 0, torch.zeros(16), positions="front"), r"at front positions .* shape \(P, 16\)"),
    ):
        with pytest.raises(InputError, match=message), intervening(model, [right, wrong]):
            pass
    assert not hooks_in(model)


def test_a_model_without_heads_says_what_is_missing(random_model):
    """Mamba has layers that can be shifted, and no attention."""
    model = random_model("MambaConfig", state_size=4)
    assert len(layers_of(model)) == 2
    with pytest.raises(
        InputError, match=r"layer 0 of model 'random MambaConfig' \(mamba\) has no attention with one of"
    ):
        head_projections(model)
    with pytest.raises(InputError, match="so its heads cannot be seen"), recording(model):
        pass
    with recording(model, heads=False) as recorded, torch.no_grad():
        model.hidden(noise(1, 4, 16))
    assert sorted(recorded.layers) == [0, 1]
    assert not hooks_in(model)


def test_a_model_without_a_list_of_layers_says_so(random_model):
    model = random_model()
    model.model.config.num_hidden_layers = 7
    with pytest.raises(InputError, match=r"\(llama\) has no list of 7 decoder layers .* choose a model of the Llama"):
        layers_of(model)


def test_the_shipped_models_heads(space):
    assert (len(head_projections(space.model)), heads_of(space.model)) == (6, 4)
