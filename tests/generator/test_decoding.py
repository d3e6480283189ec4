"""A decoded text depends on its own embedding alone; see `test_any_model` for what it is."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from copyloom import InputError
from generator.cache import CachedModel
from generator.decoding import Choice, Prefix, decode

TOKENS = 12


def test_rows_do_not_depend_on_the_batch(space):
    """The shipped model, vectors of all scales; 1, 3 and 64 rows, and any order, return the same texts."""
    scale = torch.linspace(0.01, 2, 67)[:, None, None]
    sentence_vectors = torch.nn.functional.normalize(
        torch.randn(67, 384, generator=torch.Generator().manual_seed(0)), dim=1
    )
    vectors = scale * space.adapter(sentence_vectors).detach()
    texts = decode(space.model, vectors, max_tokens=20)
    assert decode(space.model, vectors.flip(0), max_tokens=20)[::-1] == texts
    assert decode(space.model, vectors[5:8], max_tokens=20) == texts[5:8]
    assert [decode(space.model, vectors[i : i + 1], max_tokens=20)[0] for i in (0, 33, 66)] == [
        texts[i] for i in (0, 33, 66)
    ]
    order = torch.randperm(67, generator=torch.Generator().manual_seed(2))
    assert decode(space.model, vectors[order], max_tokens=20) == [texts[i] for i in order]


TWO_THREADS = """
import torch
from generator.decoding import decode
from generator.device import Device
from generator.language_model import LanguageModel

assert torch.get_num_threads() == 2
model = LanguageModel.load(device=Device.choose("cpu"))
vectors = torch.randn(67, 8, model.hidden_size, generator=torch.Generator().manual_seed(0))
texts = decode(model, vectors, max_tokens=20)
assert decode(model, vectors.flip(0), max_tokens=20)[::-1] == texts
"""


def test_nor_with_two_threads():
    """In a process that begins with them: there, some CPUs treat rows differently; see `generator.device`."""
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"} | {"OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", TWO_THREADS], env=environment, cwd=Path(__file__).parents[2], check=True)


def test_copies_of_a_row_are_copies_of_a_text(space):
    vectors = space.adapter(torch.nn.functional.normalize(torch.randn(1, 384), dim=1)).detach()
    assert len(set(decode(space.model, vectors.expand(10, -1, -1)))) == 1


def test_a_shorter_limit_cuts_the_same_text(random_model):
    model = random_model("GPT2Config")
    vectors = torch.randn(20, 3, 16, generator=torch.Generator().manual_seed(3))
    whole, cut = decode(model, vectors, max_tokens=40), decode(model, vectors, max_tokens=7)
    for long, short in zip(whole, cut, strict=True):
        assert short.ids == long.ids[:7]
        assert short.finished == (long.finished and len(long.ids) < 7)
        assert short.text == model.detokenize(short.ids)
        assert short.margin >= long.margin


def test_end_of_text_is_not_part_of_the_text(random_model):
    """A model whose head prefers the end: every text is empty and finished, in one step."""
    model = random_model("GPTNeoXConfig")
    with torch.no_grad():
        model.model.get_output_embeddings().weight.zero_()  # all logits equal: ties go to the lowest id, the end
    (result,) = decode(model, torch.ones(1, 2, 16), max_tokens=TOKENS)
    assert (result.text, result.ids, result.finished, result.margin) == ("", (), True, 0.0)


def test_nothing_emitted_has_an_infinite_margin(random_model):
    (result,) = decode(random_model(), torch.ones(1, 2, 16), max_tokens=0)
    assert (result.ids, result.finished, result.margin) == ((), False, math.inf)


@pytest.mark.parametrize("token", [1, 2, 256])
def test_ties_go_to_the_lowest_token(random_model, token):
    """A model all of whose logits are equal from `token` on, and lower before."""
    model = random_model("PhiConfig")
    head = model.model.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_((torch.arange(257) >= token).float())
    (result,) = decode(model, torch.ones(1, 2, 16), max_tokens=TOKENS)
    assert result.ids == (token,) * TOKENS
    assert result.margin == (1.0 if token == 256 else 0.0)


def test_what_does_not_fit_is_refused_with_its_shape(random_model):
    model = random_model("LlamaConfig")
    for shape in [(3, 16), (2, 3, 15), (16,), (1, 2, 3, 16)]:
        with pytest.raises(
            InputError, match=rf"embeddings has shape \({shape[0]},.*'random LlamaConfig' decodes \(B, P, 16\)"
        ):
            decode(model, torch.zeros(shape))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_none_are_refused(random_model, value):
    vectors = torch.zeros(2, 3, 16)
    vectors[1, 2, 3] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        decode(random_model(), vectors)


def test_what_is_too_long_is_refused_with_the_sum(random_model):
    model = random_model()
    assert len(decode(model, torch.zeros(1, 4, 16), max_tokens=60)) == 1
    with pytest.raises(InputError, match="max_tokens=61 need 65 positions; 'random LlamaConfig' has 64"):
        decode(model, torch.zeros(1, 4, 16), max_tokens=61)
    with pytest.raises(InputError, match="need 66 positions"):
        decode(model, torch.zeros(1, 4, 16), Prefix(torch.zeros(2, 16), torch.ones(2, dtype=torch.bool)), 60)


def test_no_rows_give_no_texts(random_model):
    assert decode(random_model(), torch.zeros(0, 3, 16), max_tokens=5) == []


@pytest.mark.parametrize("front", [torch.zeros(2, 15), torch.full((2, 16), torch.nan)])
def test_a_prefix_that_does_not_fit_is_refused(random_model, front):
    with pytest.raises(InputError):
        decode(random_model(), torch.zeros(1, 3, 16), Prefix(front, torch.ones(2, dtype=torch.bool)), TOKENS)


@pytest.mark.parametrize("kind", ["LlamaConfig", "GPT2Config"])
@pytest.mark.parametrize("asked", ["the likeliest", "draws", "forced"])
def test_what_has_ended_is_left_out_and_changes_nothing(random_model, monkeypatch, kind, asked):
    """Rows after prefixes of their own, gaps among them; ends come early, as all other tokens but few are banned."""
    model = random_model(kind)
    model.device = replace(model.device, decode_rows=96)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(96, 3, 16, generator=generator)
    present = torch.rand(8, 5, generator=generator) < 0.7
    prefix = Prefix(torch.randn(8, 5, 16, generator=generator), present, (2, 30, 12, 12, 12, 12, 12, 4))
    banned = torch.ones(96, 257, dtype=torch.bool)
    banned[:, [model.end, 7, 8, 9]] = False
    choice = Choice((0.0, 3.0) * 48, banned=banned) if asked == "draws" else None
    forced = [[5] * (row % 9) + [model.end] for row in range(96)] if asked == "forced" else None
    read = []
    monkeypatch.setattr(CachedModel, "read", lambda reader, inputs, *rest, old=CachedModel.read: (
        read.append(len(inputs)), old(reader, inputs, *rest))[1])  # fmt: skip
    found = {}
    for apart in (False, True):
        monkeypatch.setattr(model, "rows_apart", lambda rows, fewer, apart=apart: apart)
        read.clear()
        found[apart] = decode(model, vectors, prefix, 24, forced, choice)
        assert read[:2] == [8, 96]
        assert apart or set(read[1:]) == {96}
        assert asked == "the likeliest" or not apart or len(set(read[1:])) > 2
    for one, other in zip(found[False], found[True], strict=True):
        assert (one.text, one.ids, one.finished) == (other.text, other.ids, other.finished)
        assert one.margin == pytest.approx(other.margin, rel=1e-3, abs=1e-4)
        assert one.likelihood == pytest.approx(other.likelihood, rel=1e-3, abs=1e-4)


def test_draws_begin_with_what_is_forced(random_model):
    forced = [[7, 8, 9], [5]]
    found = decode(random_model(), torch.randn(2, 3, 16), None, 6, forced, Choice((2.0, 2.0), top=1))
    assert found[0].ids[:3] == (7, 8, 9)
    assert found[1].ids[0] == 5
    assert all(one.likelihood < 0 for one in found)


@pytest.mark.parametrize("kind", ["LlamaConfig", "GPT2Config"])
def test_copies_are_what_rows_of_their_own_would_be(random_model, kind):
    """Three embeddings after two prefixes with gaps, read once for 5, 0 and 3 rows, and read for each row."""
    model = random_model(kind)
    model.device = replace(model.device, decode_rows=8)
    vectors, copies, warmth = torch.randn(3, 3, 16), (5, 0, 3), (0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 0.5, 3.0)
    front = torch.randn(2, 4, 16), torch.tensor([[False, True, True, True], [True] * 4])
    rows = torch.arange(3).repeat_interleave(torch.tensor(copies))
    once = decode(model, vectors, Prefix(*front, (2, 1)), TOKENS, choice=Choice(warmth, copies=copies))
    each = decode(model, vectors[rows], Prefix(*front, (5, 3)), TOKENS, choice=Choice(warmth))
    assert [one.ids for one in once] == [one.ids for one in each]
    assert {one.margin for one in once} == {math.inf}
    assert [one.likelihood for one in once] == pytest.approx([one.likelihood for one in each], rel=1e-3)


@pytest.mark.parametrize("copies", [(8,), (4, 3), (4, 5), (8, 0, 0), (9, -1)])
def test_copies_that_do_not_fill_the_rows_are_refused(random_model, copies):
    model = random_model()
    model.device = replace(model.device, decode_rows=8)
    with pytest.raises(InputError, match="decodes 8 rows together"):
        decode(model, torch.zeros(2, 3, 16), None, TOKENS, choice=Choice((0.0,) * 8, copies=copies))


def test_rows_that_nobody_asked_for_are_read_once(random_model, monkeypatch):
    model = random_model()
    model.device = replace(model.device, decode_rows=96)
    read = []
    monkeypatch.setattr(CachedModel, "read", lambda reader, inputs, *rest, old=CachedModel.read: (
        read.append(len(inputs)), old(reader, inputs, *rest))[1])  # fmt: skip
    monkeypatch.setattr(model, "rows_apart", lambda rows, fewer: fewer >= 16)
    decode(model, torch.randn(3, 3, 16), max_tokens=5)
    assert read == [96, 16, 16, 16, 16]


@pytest.mark.parametrize("times", [(3, 4), (8,), (3, 3, 2)])
def test_sets_of_a_prefix_that_do_not_go_before_all_rows_are_refused(random_model, times):
    model = random_model()
    model.device = replace(model.device, decode_rows=8)
    front = Prefix(torch.zeros(2, 4, 16), torch.ones(2, 4, dtype=torch.bool), times)
    with pytest.raises(InputError, match="sets of them for 8 rows"):
        decode(model, torch.zeros(1, 3, 16), front, TOKENS)
