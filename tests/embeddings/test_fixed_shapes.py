"""On a device that compiles each shape, the number of shapes does not grow with the texts."""

from itertools import product

import pytest
import torch

from embeddings.inversion import Inverter, Target
from embeddings.inversion_config import InversionConfig
from embeddings.starts import token_mean_start
from generator.decoding import decode
from generator.device import Device
from generator.language_model import LanguageModel

VECTORS, ROWS, DECODED = 4, 8, 4
CONFIG = InversionConfig(start="token_mean", rows=ROWS, max_steps=2)
LENGTHS = (16, 32, 64)
ROOMS = (64,)
"""Rooms of the decoder that texts up to 47 tokens use."""


class OneShape(Device):
    """A processor that claims to compile shapes."""

    compiles_shapes = True


@pytest.fixture(params=["GPT2Config", "LlamaConfig"])
def model(request, random_model):
    model = random_model(request.param, max_position_embeddings=128)
    return LanguageModel(model.model, model.tokenizer, model.name, OneShape("cpu", "for a test", DECODED))


@pytest.fixture
def decoder_shapes(model):
    """The shapes that the decoder gives to the model, gathered as it runs: of vectors and of the mask."""
    shapes = set()

    def note(module, args, given):
        mask = given.get("attention_mask")
        shapes.add((tuple(given["inputs_embeds"].shape), None if mask is None else tuple(mask.shape)))

    hook = model.model.register_forward_pre_hook(note, with_kwargs=True)
    yield shapes
    hook.remove()


def targets(model, lengths):
    for index, length in enumerate(lengths):
        text = "".join(chr(97 + (index * place) % 26) for place in range(length))
        yield Target(index, text, [*model.tokenize(text), model.end], token_mean_start(model, text, VECTORS))


def test_few_shapes_whatever_texts_come(model, decoder_shapes):
    """Rows: a quarter of the slots or all; lengths: of the lengths in use; the decoder: one prefix and one step."""
    inverter = Inverter(model, CONFIG)
    decoder_shapes.clear()
    allowed = {(rows, VECTORS + length - 1, 16) for rows, length in product((ROWS // 4, ROWS), LENGTHS)}
    lengths = [1, 47, 14, 15, 16, *range(2, 40, 3)]
    assert len(list(inverter.run(targets(model, lengths)))) == len(lengths)
    assert inverter.objective.shapes <= allowed
    assert {shape[:2] for shape, _ in decoder_shapes} == {(DECODED, VECTORS), (DECODED, 1)}
    assert len(decoder_shapes) <= 2 * len(ROOMS)

    before, decoded_before = set(inverter.objective.shapes), set(decoder_shapes)
    more = [*range(46, 0, -4), 3, 3, 3]
    assert len(list(inverter.run(targets(model, more)))) == len(more)
    assert inverter.objective.shapes <= allowed
    assert {length for _, length, _ in inverter.objective.shapes} == {length for _, length, _ in before}
    assert decoder_shapes == decoded_before


def test_many_shapes_where_they_cost_nothing(random_model):
    """The same texts, where shapes are free, meet lengths of their own lengths, so that less is padded."""
    model = random_model(max_position_embeddings=128)
    inverter = Inverter(model, CONFIG)
    list(inverter.run(targets(model, range(1, 40))))
    assert len({length for _, length, _ in inverter.objective.shapes}) > len(LENGTHS)


def test_shapes_do_not_change_what_is_found(model):
    """Fixed shapes or free ones, every text comes out, with the same surprisal at its start."""
    free = LanguageModel(model.model, model.tokenizer, model.name, Device.choose("cpu"))
    fixed, other = (
        {result.index: result.surprisal for result in Inverter(each, CONFIG).run(targets(each, range(1, 20)))}
        for each in (model, free)
    )
    assert fixed == pytest.approx(other, rel=1e-4)
    assert len(fixed) == 19
    assert torch.isfinite(torch.tensor(list(fixed.values()))).all()


def test_no_step_of_the_decoder_is_compiled_on_its_own(model, operations):
    """Twenty steps run no operation, on no shape and with no number, that the first three have not."""
    model.end, known = -1, []  # no text ends
    noted = operations()
    hook = model.model.register_forward_pre_hook(lambda *_: known.append(len(set(noted.run))))
    with noted:
        decode(model, torch.randn(DECODED, VECTORS, 16, generator=torch.Generator().manual_seed(0)), max_tokens=20)
    hook.remove()
    assert len(known) == 20
    assert known[0] < known[2] == known[-1]
