"""What the overview draws: shares that sum to 1, and a map whose two directions hold what it says."""

import asyncio
import itertools
import math
import random

import numpy as np
import pytest
import torch
from sqlalchemy import insert

from embeddings.database import SentenceVectorRow, store_texts, text_id, to_bytes, writing
from embeddings.encoded import EncodedOnce, vectors_of
from embeddings.encoder import SentenceEncoder
from experiments.storefront.pictures import embedding_map, share_layers
from experiments.storefront.tone import nearness
from generator.brand_book import Tone
from generator.grammar import Grammar

from .example import SLOT, TENANT
from .test_pages import HERO, SAFE, Browser, filled, shop  # noqa: F401  # fixtures


def place(engine, vectors, clock):
    """Keep sentence vectors as a worker would."""
    with writing(engine) as connection:
        store_texts(connection, vectors, clock())
        connection.execute(insert(SentenceVectorRow), [
            {"text_id": text_id(text), "encoder": "tests", "vector": to_bytes(torch.tensor(vector))}
            for text, vector in vectors.items()])  # fmt: skip


def texts_of(state):
    return list(dict.fromkeys([*state.slate, *state.opening.parents, SAFE]))


def test_the_shares_of_all_texts_are_those_of_the_snapshots(shop):  # noqa: F811
    state = shop.state.slots.get(TENANT, SLOT).state
    ends, layers = share_layers(state)
    assert ends[-1] == len(state.snapshots)
    assert np.allclose(np.sum([layer.values for layer in layers], axis=0), 1)
    last = dict(zip(state.slate, state.snapshots[-1].probabilities, strict=False))
    own = [layer for layer in layers if layer.text is not None]
    assert len(own) == 6
    assert [layer.last for layer in own] == pytest.approx([last[layer.text] for layer in own])
    assert {layer.text for layer in own} >= set(sorted(last, key=last.__getitem__)[-3:])


def test_a_map_of_a_plane_explains_all_and_keeps_distances(shop):  # noqa: F811
    engine, state = shop.state.slots.engine, shop.state.slots.get(TENANT, SLOT).state
    assert embedding_map(engine, state, "").points == []
    basis = torch.linalg.qr(torch.randn(6, 2, generator=torch.Generator().manual_seed(1)))[0]
    flat = {text: [math.cos(number), 0.5 * math.sin(number)] for number, text in enumerate(texts_of(state))}
    place(engine, {text: (basis @ torch.tensor(at)).tolist() for text, at in flat.items()}, shop.state.clock)
    found = embedding_map(engine, state, HERO)
    assert found.explained == pytest.approx(1)
    assert found.missing > 0  # others wait that were not read
    places = {point["text"]: (point["x"], point["y"]) for point in found.points}
    pairs = [(one, other) for one in list(flat)[:5] for other in list(flat)[5:9]]
    assert [math.dist(places[one], places[other]) for one, other in pairs] == pytest.approx(
        [math.dist(flat[one], flat[other]) for one, other in pairs], abs=1e-5
    )
    kinds = {point["text"]: point["kind"] for point in found.points}
    assert (kinds[SAFE], kinds[state.slate[0]]) == ("written, not shown", "stored")
    page = Browser(shop).sign_in("cleo-key").get(HERO).replace("\u00a0", " ")
    assert "hold 100 % of what tells them apart" in page
    assert page.count('class="pt') >= 2 * len(found.points)
    assert f'href="{HERO}/texts/{text_id(SAFE)}"' in page
    assert "Stacked areas of what share of draws each text had" in page


def test_vectors_of_one_encoder_are_compared(shop):  # noqa: F811
    engine = shop.state.slots.engine
    place(engine, {"one": [1.0, 0.0], "two": [0.0, 1.0]}, shop.state.clock)
    with writing(engine) as connection:
        connection.execute(insert(SentenceVectorRow), {"text_id": text_id("one"), "encoder": "another",
                                                       "vector": to_bytes(torch.zeros(3))})  # fmt: skip
    assert {text: vector.tolist() for text, vector in vectors_of(engine, ["one", "two", "three"]).items()} == {
        "one": [1, 0], "two": [0, 1]}  # fmt: skip


def test_tone_is_nothing_without_examples_that_were_read():
    vectors = {name: torch.eye(8)[number] for number, name in enumerate("abcdefg")}
    tone = Tone(good=("a", "b", "c"), bad=("d", "e", "f"))
    found = nearness("g", tone, vectors)
    assert (found.good, found.bad, found.usual) == (0, 0, 0)
    assert nearness("unread", tone, vectors) is None
    assert nearness("g", Tone(good=("a", "b"), bad=("d", "e", "f")), vectors) is None


def test_tone_leans_from_the_middle_of_the_examples_themselves():
    drawn = torch.nn.functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(3)), dim=1)
    vectors = dict(zip("abcdefgt", drawn, strict=True))
    tone = Tone(good=("a", "b", "c"), bad=("d", "e", "f", "g"))

    def beside(text, some):
        return np.mean([float(vectors[text] @ vectors[one]) for one in some if one != text])

    differences = {text: beside(text, tone.good) - beside(text, tone.bad) for text in vectors}
    middle = (
        np.mean([differences[text] for text in tone.good]) + np.mean([differences[text] for text in tone.bad])
    ) / 2
    found = nearness("t", tone, vectors)
    assert (found.usual, found.lean) == (pytest.approx(middle), pytest.approx(differences["t"] - middle))
    assert found.like == max("abcdefg", key=lambda one: float(vectors[one] @ vectors["t"]))


@pytest.mark.slow
def test_tone_tells_styles_apart_better_than_chance():
    """As ``docs/measured/storefront.md`` says: texts of the grammar's styles about other products, five examples."""
    grammar, rng = Grammar.load(), random.Random(0)
    pool = {style: list(dict.fromkeys(grammar.claim(rng, grammar.record(rng), style).text for _ in range(40)))
            for style in grammar.styles[:6]}  # fmt: skip
    encoder = EncodedOnce(SentenceEncoder())
    texts = [text for some in pool.values() for text in some]
    vectors = dict(zip(texts, encoder.encode(texts), strict=True))
    right = []
    for one, other in itertools.permutations(pool, 2):
        tone = Tone(good=tuple(pool[one][:5]), bad=tuple(pool[other][:5]))
        right += [nearness(text, tone, vectors).lean > 0 for text in pool[one][5:25]]
    assert 0.62 < np.mean(right) < 0.78


def test_the_page_of_rules_tries_sets_and_compares_them(shop):  # noqa: F811
    anna, bert = Browser(shop).sign_in("anna-key"), Browser(shop).sign_in("bert-key")
    assert "There are no brand rules yet" in anna.get("/ui/brand")
    rules = "banned: [holds more]\nwhen_broken: tell\n"
    tried = anna.post("/ui/brand", action="try", rules=rules, version="0")
    assert "would break them" in tried
    assert SAFE in tried
    assert "There are no brand rules yet" in bert.get("/ui/brand")
    assert "say why" in anna.post("/ui/brand", action="set", rules=rules, version="0")
    assert "no YAML in line 1" in anna.post("/ui/brand", action="set", rules="banned: [", version="0", reason="x")
    done = anna.post("/ui/brand", action="set", rules=rules, version="0", reason="vague")
    assert "all texts were held to them" in done
    assert "set by Anna" in bert.post("/ui/brand", action="set", rules="banned: []", version="0", reason="none")
    bert.post("/ui/brand", action="set", rules=rules + "claims: [urgency]", version="1", reason="calm")
    assert "<ins>+ claims: [urgency]</ins>" in bert.response.text
    queue = bert.get(f"{HERO}/review")
    assert "breaks a rule" in queue
    assert "version 2 holds; it was held to this one" in queue
    cleo = Browser(shop).sign_in("cleo-key")
    assert "lacks the scope publish or admin" in cleo.post("/ui/brand", action="set", rules="", version="2", reason="x")
    assert "no brand rules yet" in Browser(shop).sign_in("dora-key").get("/ui/brand")
    assert "brand rules set" in anna.get("/ui/audit")
    assert asyncio.run(anna.client.post("/ui/brand", data={"rules": ""})).status_code == 403
