"""The study of registers: all models see as much, none sees what is held out, and differences are read off right."""

import json
import random

import numpy as np
import pytest
from typer.testing import CliRunner

from copyloom import InputError
from experiments.commands.cli import app
from experiments.corpora import registers as corpus
from experiments.studies.registers import study, training
from experiments.studies.registers.comparing import OTHERS, compared, matrix
from experiments.studies.registers.measuring import Written, make
from experiments.studies.registers.report import answers
from experiments.studies.registers.scores import MEASURES, Judge
from experiments.studies.registers.settings import MIXED, RegisterStudy
from experiments.studies.registers.training import split, tokenizer_of
from experiments.studies.registers.wishes import has, wishes_of
from generator.grammar import Grammar

SMALL = {"steps": 10, "passes": 1, "hidden_size": 32, "layers": 1, "vocabulary": 512, "width": 32, "vectors": 2,
         "judged": 20, "inversion_steps": 2, "judge": "copyloom-tiny"}  # fmt: skip


def claims(count: int, seed: int = 0) -> list[str]:
    grammar, rng = Grammar.load(), random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[grammar.claim(rng, grammar.record(rng)).text] = None
    return list(found)


def notes(count: int) -> list[str]:
    """Short texts of another kind."""
    return [f"note {number}: call {name} about {thing}" for number in range(count // 12 + 1)
            for name in ("Ann", "Bo", "Cem", "Di") for thing in ("tea", "the shed", "your ladder")][:count]  # fmt: skip


def test_all_models_learn_from_as_many_tokens_and_none_from_what_is_held_out() -> None:
    texts = {"claims": claims(420), "notes": [*notes(400), claims(420)[0]]}
    settings = RegisterStudy(**SMALL)
    tokenizer = tokenizer_of(texts, 512)
    found = split(texts, settings, tokenizer)
    assert list(found.training) == ["claims", "notes", MIXED]
    assert {name: len(some) for name, some in found.held_out.items()} == {"claims": 20, "notes": 20}
    kept_apart = {text for some in found.held_out.values() for text in some}
    for some in found.training.values():
        assert not kept_apart & set(some)
        assert len(set(some)) == len(some)
        tokens = sum(len(tokenizer.tokenize(text)) + 1 for text in some)
        assert found.tokens <= tokens <= found.tokens + 2 * training.MAX_TOKENS
    mixed = set(found.training[MIXED])
    parts = [sum(len(tokenizer.tokenize(text)) + 1 for text in mixed & set(found.training[name])) for name in texts]
    assert parts[0] == pytest.approx(parts[1], abs=training.MAX_TOKENS)
    backwards = {name: some[::-1] for name, some in texts.items()}
    assert split(backwards, settings, tokenizer).held_out == found.held_out
    with pytest.raises(InputError, match="219 texts of 'notes' have at most 63 tokens; give 220 or more"):
        split({**texts, "notes": notes(219)}, settings, tokenizer)


def test_a_text_comes_back_from_its_tokens() -> None:
    tokenizer = tokenizer_of({"one": claims(30), "other": notes(30)}, 600)
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
    rows = compared("exact", values(3, 2, 1), ["a", "b", MIXED])
    assert {(row["beside"], row["register"]) for row in rows} == {
        (beside, register) for beside in (MIXED, OTHERS) for register in ("a", "b", None)
    }
    for row in rows:
        above = 1 if row["beside"] == MIXED else 2
        assert (row["above"], row["low"], row["high"]) == pytest.approx((above, above, above))
        assert row["trainings"] == pytest.approx([above, above])
    cells = {(row["model"], row["register"]): row for row in matrix("exact", values(3, 2, 1), ["a", "b", MIXED])}
    assert len(cells) == 6
    for row in cells.values():
        assert row["low"] < row["value"] < row["high"]
        assert row["most"] - row["least"] == pytest.approx(0.1)
    nothing = {"a": np.full((3, 1, 5), np.nan)}
    assert matrix("exact", nothing, ["a", "b", MIXED]) == compared("exact", nothing, ["a", "b", MIXED]) == []


def test_what_is_said_needs_the_interval_and_every_training() -> None:
    def said(low: float, high: float, trainings: list[float], measure: str = "bits") -> str:
        row = {"measure": measure, "beside": MIXED, "register": None, "above": (low + high) / 2, "low": low,
               "high": high, "trainings": trainings}  # fmt: skip
        return answers({"compared": [row]})[0]

    assert "is better than the mixed model (-0.20 (-0.30 to -0.10))" in said(-0.3, -0.1, [-0.2])
    assert "is worse than the mixed model" in said(0.1, 0.3, [0.2])
    assert "is not told apart from the mixed model" in said(-0.1, 0.3, [0.1])
    assert "is not told apart from the mixed model" in said(0.1, 0.3, [0.5, -0.1])
    shares = said(0.1, 0.3, [0.2], "exact")
    assert shares == "Exact, refined: a register's own model is better than the mixed model (+20 points (+10 to +30))."


def test_a_register_is_asked_for_what_it_has_examples_of(space) -> None:
    assert has("a number", "Room 2")
    assert has("speaks to the reader", "Make it YOURS")
    assert not has("speaks to the reader", "A youthful look")
    assert not has("speaks of us", "It is theirs")
    found = wishes_of([*notes(100), *(f"tell {name} we are late" for name in map(str, range(100)))], space.encoder)
    assert [wish.name for wish in found] == ["speaks of us"]  # all have a number, and few speak to the reader


def test_a_model_that_knows_its_texts_is_judged_so(space) -> None:
    """Stored claims of the shipped model are exact; what repeats a parent is no mixture, what babbles not readable."""
    own, learnt = claims(8, 1), claims(400, 2)
    some = [wish for wish in wishes_of(learnt, space.encoder) if wish.name == "speaks to the reader"]
    made = make(space, own, some, 60, lambda *_: None)
    judge = Judge(space.critic, space.encoder, {"claims": learnt})
    found = judge.scores("claims", made)
    assert set(found) == set(MEASURES)
    assert found["exact"] == [1.0] * 8
    assert all(0 < bits < 1.5 for bits in found["bits"])
    assert np.nanmean(found["steered_good"]) > 0.2
    assert np.isnan(found["steered_good"]).tolist() == [has("speaks to the reader", text) for text in own]
    copied = [Written(one.sources[0], True, one.sources) for one in made.mixed]
    babble = [Written("kettle kettle the of of tent made", True, one.sources) for one in made.mixed]
    cut = [Written(one.text, False, one.sources) for one in made.mixed]
    for written in (copied, babble, cut):
        made.mixed[:] = written
        assert judge.scores("claims", made)["mixed_good"] == [0.0] * 8


def test_the_command_trains_once_and_says_the_same_again(tmp_path, monkeypatch) -> None:
    for name, texts in (("claims", claims(230)), ("notes", notes(230))):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    options += [f"--register={name}={tmp_path / name}.txt" for name in ("claims", "notes")]
    options += ["--folder", str(tmp_path / "out"), "--device", "cpu", "--json"]
    first = CliRunner().invoke(app, ["study", "registers", *options])
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found["models"] == ["claims", "notes", MIXED]
    assert found["registers"] == ["claims", "notes"]
    bits = [row for row in found["matrix"] if row["measure"] == "bits"]
    assert len(bits) == 6
    assert all(row["low"] <= row["value"] <= row["high"] for row in bits)
    assert {row["space"] for row in found["qualities"]} == {
        "summary embeddings", "adapter's output", "mean of token embeddings", "hidden states, last layer",
    }  # fmt: skip
    assert all(row["effective_dimension_low"] <= row["effective_dimension"] for row in found["qualities"])
    page = (tmp_path / "out" / "registers.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    monkeypatch.setattr(training, "train_adapter", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(study, "_measured", lambda *_: pytest.fail("measured again"))
    again = CliRunner().invoke(app, ["study", "registers", *options])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["matrix"] == found["matrix"]
    shown = CliRunner().invoke(app, ["study", "registers", *options[:-1]])
    assert "Bits a byte: a register's own model is" in shown.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--register", "claims.txt"], "is no NAME=FILE"),
        (["--register", "mixed=claims.txt"], "none 'mixed'"),
        (["--register", "a=FILE", "--register", "a=FILE"], "each once"),
        (["--register", "a=FILE"], "one register was given; give two or more"),
        (["--data", "nowhere"], "there is no folder of real texts"),
        (["--hidden-size", "40"], "give a multiple of 32"),
    ],
)
def test_what_is_asked_wrongly_is_refused(given, said, tmp_path) -> None:
    (tmp_path / "some.txt").write_text("\n".join(notes(30)))
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
