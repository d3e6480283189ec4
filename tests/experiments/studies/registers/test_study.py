"""The study of registers: all models see as much, none sees what is held out, and differences are read off right."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from copyloom import InputError
from experiments.commands.cli import app
from experiments.corpora import registers as corpus
from experiments.studies.registers import study, training
from experiments.studies.registers.comparing import OTHERS, compared, matrix
from experiments.studies.registers.measuring import Written, make
from experiments.studies.registers.report import answers
from experiments.studies.registers.scores import MEASURES, Judge, follows
from experiments.studies.registers.settings import MIXED, RegisterStudy
from experiments.studies.registers.split import MAX_TOKENS, split, tokenizer_of
from experiments.studies.registers.wishes import has, wishes_of
from generator.grammar import Grammar

SMALL = {"steps": 4, "passes": 1, "hidden_size": 32, "layers": 1, "vocabulary": 512, "width": 32, "vectors": 2,
         "judged": 20, "inversion_steps": 2, "judge": "copyloom-tiny"}  # fmt: skip


def drawn(count: int, form: str = "claim", seed: int = 0) -> list[str]:
    """Return claims or headlines of the grammar."""
    grammar, rng = Grammar.load(), random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[grammar.claim(rng, grammar.record(rng), form=form).text] = None
    return list(found)


def test_all_models_learn_from_as_many_tokens_and_none_from_what_is_held_out() -> None:
    texts = {"claims": drawn(420), "headlines": [*drawn(600, "headline"), drawn(420)[0]]}
    settings = RegisterStudy(**SMALL)
    tokenizer = tokenizer_of(texts, 512)
    found = split(texts, settings, tokenizer)
    assert list(found.training) == ["claims", "headlines", MIXED]
    assert {name: len(some) + found.near[name] for name, some in found.held_out.items()} == dict.fromkeys(texts, 20)
    kept_apart = {text for some in found.held_out.values() for text in some}
    seen = {}
    for name, some in found.training.items():
        assert not kept_apart & set(some)
        assert len(set(some)) == len(some)
        tokens = sum(len(tokenizer.tokenize(text)) + 1 for text in some)
        assert found.tokens <= tokens <= found.tokens + 2 * MAX_TOKENS
        steps = training.steps_of(found.training, settings)
        seen[name] = training._training(settings, Path(), steps, len(some), 0).rows * steps * tokens / len(some)
    assert max(seen.values()) < 1.04 * min(seen.values())
    mixed = set(found.training[MIXED])
    parts = [sum(len(tokenizer.tokenize(text)) + 1 for text in mixed & set(found.training[name])) for name in texts]
    assert parts[0] == pytest.approx(parts[1], abs=MAX_TOKENS)
    with pytest.raises(InputError, match="219 texts of 'headlines' have at most 63 tokens; give 220 or more"):
        split({**texts, "headlines": drawn(219, "headline")}, settings, tokenizer)
    with pytest.raises(InputError, match="registers 'claims' and 'again' share 300 texts"):
        split({"claims": drawn(420), "again": drawn(300)}, settings, tokenizer)


def test_what_differs_from_a_learnt_text_in_one_word_is_not_measured() -> None:
    texts = {"claims": drawn(300), "copies": [f"Note {number}: call Ann about it" for number in range(300)]}
    with pytest.raises(InputError, match="0 of the 20 held-out texts of 'copies' differ from all others"):
        split(texts, RegisterStudy(**SMALL), tokenizer_of(texts, 512))
    few = {**texts, "copies": [*drawn(290, "headline"), *texts["copies"][:60]]}
    found = split(few, RegisterStudy(**{**SMALL, "judged": 40}), tokenizer_of(few, 512))
    assert not any(text.startswith("Note") for text in found.held_out["copies"])
    assert found.near["copies"] > 0


def test_a_text_comes_back_from_its_tokens() -> None:
    tokenizer = tokenizer_of({"one": drawn(30), "other": drawn(30, "headline")}, 600)
    for text in ("Größe 42, naïve 😀\ttab", "<|end|> of 2.5 %"):
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def values(own: float, mixed: float, other: float, trainings: int = 2) -> dict[str, np.ndarray]:
    """Return what two registers' models and the mixed one reach on 30 texts each; half of the last has no value."""
    rng, found = np.random.default_rng(0), {}
    for place, register in enumerate(("a", "b")):
        texts = rng.normal(0, 5, 30)
        rows = [own if model == place else other for model in range(2)] + [mixed]
        found[register] = np.array([[row + texts + 0.1 * number for number in range(trainings)] for row in rows])
    found["b"][:, :, 15:] = np.nan
    return found


def test_own_models_are_compared_on_the_same_texts() -> None:
    """Texts differ far more than models: differences are as sure as if they did not."""
    rows = compared("bits", values(3, 2, 1), ["a", "b", MIXED])
    assert {(row["beside"], row["register"]) for row in rows} == {
        (beside, register) for beside in (MIXED, OTHERS) for register in ("a", "b", None)
    }
    for row in rows:
        above = 1 if row["beside"] == MIXED else 2
        assert (row["above"], row["low"], row["high"]) == pytest.approx((above, above, above))
        assert row["trainings"] == pytest.approx([above, above])
    cells = {(row["model"], row["register"]): row for row in matrix("bits", values(3, 2, 1), ["a", "b", MIXED])}
    assert len(cells) == 6
    for row in cells.values():
        assert row["low"] < row["value"] < row["high"]
        assert row["trainings"] == pytest.approx([row["value"] - 0.05, row["value"] + 0.05])
    nothing = {"a": np.full((3, 1, 5), np.nan)}
    assert matrix("bits", nothing, ["a", "b", MIXED]) == compared("bits", nothing, ["a", "b", MIXED]) == []


def test_shares_of_which_no_text_differs_are_not_sure() -> None:
    """Wilson's interval of none of 120 goes to 3 %."""
    none = {name: np.zeros((3, 1, 120)) for name in ("a", "b")}
    assert {(row["low"], round(row["high"], 3)) for row in matrix("exact", none, ["a", "b", MIXED])} == {(0.0, 0.031)}
    rows = compared("exact", none, ["a", "b", MIXED])
    assert {(round(row["low"], 3), round(row["high"], 3)) for row in rows if row["register"]} == {(-0.031, 0.031)}
    assert {round(row["high"], 3) for row in rows if not row["register"]} == {0.016}


def test_what_is_said_needs_the_interval_and_every_training() -> None:
    def said(low: float, high: float, trainings: list[float], measure: str = "bits") -> str:
        row = {"measure": measure, "register": None, "above": (low + high) / 2, "low": low, "high": high,
               "trainings": trainings}  # fmt: skip
        return answers({"compared": [{**row, "beside": beside} for beside in (MIXED, OTHERS)]})[0]

    once = "is in this one training better than the mixed model (-0.20 (-0.30 to -0.10)), and in this one"
    assert once in said(-0.3, -0.1, [-0.2])
    assert "is better than the mixed model (-0.20 (-0.30 to -0.10; -0.20, -0.19))" in said(-0.3, -0.1, [-0.2, -0.19])
    assert "is worse than the mixed model" in said(0.1, 0.3, [0.2, 0.2])
    assert "is not told apart from the mixed model" in said(-0.1, 0.3, [0.1])
    assert "is not told apart from the mixed model" in said(0.1, 0.3, [0.5, -0.1])
    assert "Exact, refined: a register's own model is better than the mixed model (+20 points (+10 to +30; " in said(
        0.1, 0.3, [0.2, 0.2], "exact"
    )


def test_a_register_is_asked_for_what_it_has_examples_of(space) -> None:
    assert has("a number", "Room 2")
    assert has("speaks to the reader", "Make it YOURS")
    assert not has("speaks to the reader", "A youthful look")
    assert not has("speaks of us", "It is theirs")
    plain = [f"note {number}: the shed is green" for number in range(100)]
    found = wishes_of([*plain, *(f"tell Ann {number} we are late" for number in range(100))], space.encoder)
    assert [wish.name for wish in found] == ["speaks of us"]  # all have a number, and none speaks to the reader


def test_a_model_that_knows_its_texts_is_judged_so(space) -> None:
    """Stored claims of the shipped model are exact, and some mixtures good; junk is not, whatever it is."""
    own, learnt = drawn(20, seed=1), drawn(400, seed=2)
    some = [wish for wish in wishes_of(learnt, space.encoder) if wish.name == "speaks to the reader"]
    made = make(space, own, some, 60, lambda *_: None)
    judge = Judge(space.critic, space.encoder, {"claims": learnt, MIXED: [*learnt, made.mixed[0].text]})
    found = judge.scores("claims", "claims", made)
    assert set(found) == set(MEASURES)
    assert found["exact"] == [1.0] * 20
    assert all(0 < bits < 1.5 for bits in found["bits"])
    assert np.mean(found["mixed_good"]) > 0.3
    assert np.nanmean(found["steered_good"]) > 0.1
    assert np.isnan(found["steered_good"]).tolist() == [has("speaks to the reader", text) for text in own]
    assert judge.scores(MIXED, "claims", made)["mixed_good"][0] == 0  # it has learnt that by heart
    mixed, steered = list(made.mixed), list(made.steered)
    for junk in ("you " * 12, "?" * 20, "I love you.", learnt[0], ""):
        made.mixed[:] = [Written(junk, True, one.sources) for one in mixed]
        made.steered[:] = [Written(junk, True, one.sources, one.wish) for one in steered]
        scores = judge.scores("claims", "claims", made)
        assert np.mean(scores["mixed_good"]) <= 0.05, junk
        assert np.nanmean(scores["steered_good"]) <= 0.11, junk
    made.mixed[:] = [Written(one.sources[0], True, one.sources) for one in mixed]
    assert judge.scores("claims", "claims", made)["mixed_good"] == [0.0] * 20
    made.mixed[:] = [Written(one.text, False, one.sources) for one in mixed]
    assert judge.scores("claims", "claims", made)["mixed_good"] == [0.0] * 20


def test_one_text_for_all_is_to_the_point_once_in_twenty() -> None:
    cosines = torch.rand(1, 100, generator=torch.Generator().manual_seed(0)).expand(100, 100)
    assert follows(cosines, torch.arange(100)).mean() == pytest.approx(0.05, abs=0.011)
    assert follows(torch.eye(30), torch.arange(30)).all()


def test_the_command_trains_once_and_refuses_a_folder_of_others(tmp_path, monkeypatch) -> None:
    for form in ("claim", "headline"):
        (tmp_path / f"{form}.txt").write_text("\n".join(drawn(240, form)))

    def command(*more: str, texts: tuple[str, str] = ("claim", "headline")) -> Result:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
        options += [f"--register={name}={tmp_path / file}.txt" for name, file in zip(("a", "b-2"), texts, strict=True)]
        options += ["--folder", str(tmp_path / "out"), "--device", "cpu", *more]
        return CliRunner().invoke(app, ["study", "registers", *options])

    first = command("--json")
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found["models"] == ["a", "b-2", MIXED]
    assert found["registers"] == ["a", "b-2"]
    bits = [row for row in found["matrix"] if row["measure"] == "bits"]
    assert len(bits) == 6
    assert all(row["low"] <= row["value"] <= row["high"] for row in bits)
    assert {row["space"] for row in found["qualities"]} == {
        "summary embeddings", "adapter's output", "mean of token embeddings", "hidden states, last layer",
    }  # fmt: skip
    assert all(row["effective_dimension_low"] <= row["effective_dimension"] for row in found["qualities"])
    page = (tmp_path / "out" / "registers.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert page.count('<p class="answer">') == 4 - all(not row["wishes"] for row in found["texts"])
    monkeypatch.setattr(training, "train_adapter", lambda *_, **__: pytest.fail("trained again"))
    for more, texts in ((("--seed", "7"), ("claim", "headline")), ((), ("headline", "claim"))):
        refused = command(*more, texts=texts)
        assert refused.exit_code == 2
        assert "holds a training of another configuration" in " ".join(refused.output.split())
    monkeypatch.setattr(study, "qualities", lambda *_: pytest.fail("measured again"))
    again = command()
    assert again.exit_code == 0, again.output
    assert "Bits a byte: a register's own model is" in again.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--register", "claims.txt"], "is no NAME=FILE"),
        (["--register", "a="], "is no NAME=FILE"),
        (["--register", "a=FILE", "--data", "."], "give one of them"),
        (["--vectors", "250"], "less than or equal to 64"),
        (["--register", "mixed=claims.txt"], "none 'mixed'"),
        (["--register", "a=FILE", "--register", "a=FILE"], "each once"),
        (["--register", "a=FILE"], "one register was given; give two or more"),
        (["--data", "nowhere"], "there is no folder of real texts"),
        (["--hidden-size", "40"], "give a multiple of 32"),
    ],
)
def test_what_is_asked_wrongly_is_refused(given, said, tmp_path) -> None:
    (tmp_path / "some.txt").write_text("\n".join(drawn(30)))
    given = [one.replace("FILE", str(tmp_path / "some.txt")) for one in given]
    done = CliRunner().invoke(app, ["study", "registers", *given, "--folder", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_the_projects_registers_are_short_distinct_texts_and_stories_are_told_once(
    shared_data, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(corpus, "_TOLD_TOGETHER", 16)
    found = corpus.register_texts(shared_data, 40, tmp_path, lambda *_: None)
    assert list(found) == ["headlines", "listings", "claims", "stories"]
    for texts in found.values():
        assert len(set(texts)) == len(texts) == 40
        assert all(12 <= len(text) <= 110 for text in texts)
    monkeypatch.setattr(corpus, "_told", lambda *_: pytest.fail("told again"))
    assert corpus.register_texts(shared_data, 40, tmp_path, lambda *_: None) == found
    with pytest.raises(InputError, match="with a model that tells stories"):
        corpus.told_stories(tmp_path / "none", 10, tmp_path / "kept", lambda *_: None)
