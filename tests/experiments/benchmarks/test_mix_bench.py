"""The mix benchmark's entrants give the parents back at the ends, and its run measures what it promises."""

import json
import math

import pytest
import torch

from embeddings.effort import Effort
from experiments.benchmarks.mixing import corpora, plain, run
from experiments.benchmarks.mixing.corpora import Cases, Corpus, grammar_corpus, own_corpora
from experiments.benchmarks.mixing.entrants import DEFAULT, ENTRANTS, Setting, as_first_stated
from experiments.benchmarks.mixing.judge import Judge
from experiments.benchmarks.mixing.measures import FluencyRule
from experiments.training.tiny.train import TinyConfig

TEXTS = ["This quiet kettle pours well.", "You will love this sturdy tent.", "Our lamp is made of oak."]
EXACT_AT_ENDS = ["the product", "encoder + residuals", "mean, adapter",
                 "mean, token mean", "log-probabilities"]  # fmt: skip

QUICK = Effort(drafts=2, rounds=1, width=1, rewritings=3, splices=16)
FIRST = Effort(drafts=2, rounds=0)


def quiet(stage, done, total):
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def setting(space):
    vectors = space.encoder.encode(TEXTS)
    pairs, triples = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 0]]), torch.tensor([[0, 1, 2]])
    stored = ["A red bicycle.", "The kettle is here."]
    corpus = Corpus("test", TEXTS, vectors, pairs, triples, stored, space.encoder.encode(stored))
    return Setting(space, corpus, None, quiet, QUICK)


@pytest.mark.parametrize("name", EXACT_AT_ENDS)
@pytest.mark.parametrize("end", [0, 1])
def test_all_weight_on_a_parent_gives_that_parent(setting, name, end):
    cases = setting.corpus.at(float(end))
    assert ENTRANTS[name](setting, cases) == [TEXTS[number] for number in cases.parents[:, end].tolist()]


@pytest.mark.parametrize("name", [name for name, way in ENTRANTS.items() if way is not as_first_stated])
def test_an_entrant_writes_one_text_a_case_whatever_the_number_of_parents(setting, name):
    assert len(ENTRANTS[name](setting, setting.corpus.of_three())) == 1
    none = Cases(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, 2))
    assert ENTRANTS[name](setting, none) == []


def test_retrieval_returns_the_nearest(setting):
    first = Cases(torch.tensor([[0, 1]]), torch.tensor([[1.0, 0.0]]))
    assert ENTRANTS["nearest stored"](setting, first) == ["The kettle is here."]


def test_the_judge_prefers_a_sentence_to_its_words_shuffled(space):
    judge = Judge.load(space.critic)
    for text, shuffled in (("This quiet kettle is made of steel.", "Steel of is kettle made quiet this."),
                           ("A cozy apartment near the center", "Near a center apartment the cozy")):  # fmt: skip
        losses = judge.nats_per_token([text, shuffled])
        assert losses[0] + 1 < losses[1]
    alone, beside = judge.nats_per_token([TEXTS[0]]), judge.nats_per_token([*TEXTS, " ".join(["kettle"] * 200), ""])
    assert float(beside[0]) == pytest.approx(float(alone[0]), abs=1e-4)
    assert torch.isfinite(beside).all()


def test_words_that_are_none_are_broken(space):
    judge = Judge.load(space.critic)
    assert judge.broken_words("Ketlte blengrd 4.5-star well-made don't women's U.S. 2,300") == ["ketlte", "blengrd"]
    assert judge.broken_words("A quiet braxt", frozenset(["braxt"])) == []


def test_a_corpus_keeps_to_its_own_rule(space):
    judge, texts = Judge.load(space.critic), [f"This kettle is number {number} of many." for number in range(40)]
    corpus = Corpus("test", texts, torch.zeros(40, 2), torch.zeros(0, 2), torch.zeros(0, 3), [], torch.zeros(0, 2))
    rule = FluencyRule(judge, corpus)
    assert rule.stops
    assert sum(not faults for faults in rule.faults(texts)) >= 38
    found = rule.faults(["This kettle is", "This kettle this kettle this kettle.", "This ketlte is one.", ""])
    assert [name in faults for faults, name in zip(found, ("finish", "loop", "word", "finish"), strict=True)] == [
        True
    ] * 4


def test_grammar_pairs_are_held_out_and_about_two_products(space, monkeypatch):
    monkeypatch.setattr(corpora, "STORED", 300)
    corpus = grammar_corpus(space.encoder, 4, quiet)
    for first, second in corpus.pairs.tolist():
        assert corpus.claims[first].record.name != corpus.claims[second].record.name
    assert not set(corpus.texts) & set(corpus.stored)
    assert len(corpus.stored) == 300


def test_own_texts_are_measured_with_the_promised_keys(space, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ENTRANTS", {DEFAULT: ENTRANTS[DEFAULT], "nearest stored": ENTRANTS["nearest stored"]})
    texts = [f"This {word} kettle is made for {use}." for word in ("quiet", "red", "small", "shiny", "light")
             for use in ("tea", "camping", "travel", "the office", "guests")]  # fmt: skip
    found = run.measure(
        texts, 3, tmp_path, None, "cpu", quiet, plain=False, effort=FIRST, drift_pairs=1, judge=space.critic
    )
    assert found["default"] == DEFAULT in found["entrants"]
    assert [corpus["corpus"] for corpus in found["corpora"]] == ["own texts, within a topic", "own texts, random pairs"]
    for row in found["entrants"].values():
        for key in ("fluent_share", "new_share", "concatenation_share", "semantic_consistency", "nearer_parent",
                    "nearest_stored"):  # fmt: skip
            assert -1 <= row[key] <= 1
        low, high = row["difference_interval"]
        assert low <= row["semantic_consistency"] - row["nearer_parent"] + 1e-9
        assert high >= row["semantic_consistency"] - row["nearer_parent"] - 1e-9
        assert (row["texts"], row.get("everywhere", {"texts": 9})["texts"]) == (3, 9)
    assert found["entrants"]["a parent"]["new_share"] == 0
    corpus = found["corpora"][0]
    assert corpus["ends"] == {"first": 1.0, "second": 1.0}
    assert corpus["repeats"] == 1.0
    assert math.isfinite(corpus["fluent_up_to_nats"])
    json.dumps(found)


def test_too_few_texts(space):
    from copyloom import InputError

    with pytest.raises(InputError, match="at least 20"):
        own_corpora(["one", "two"], space.encoder, 4, quiet)


def test_the_model_without_adapter_is_trained_once_and_takes_part(setting, tmp_path, monkeypatch):
    """Three steps make no writer; that its vectors are found, mixed and decoded is what is asked."""
    monkeypatch.setattr(plain, "_STEPS", 3)
    monkeypatch.setattr(plain, "_ROWS", 6)
    monkeypatch.setattr(plain, "TinyConfig", lambda: TinyConfig(grammar_texts=200))
    heard = []
    for _ in range(2):
        bare = plain.plain_space(tmp_path / "plain", None, 4, "cpu", lambda *stage: heard.append(stage))
    assert [step for _, step, _ in heard] == [1, 2, 3]
    assert bare.adapter is None
    found = as_first_stated(Setting(setting.space, setting.corpus, bare, quiet), setting.corpus.at(0.5))
    assert len(found) == len(setting.corpus.pairs)
