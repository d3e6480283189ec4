"""``copyloom steer``, ``study steering`` and ``study styles``: JSON for programs, clear errors, a plot for people."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from copyloom import InputError
from embeddings.directions import load_directions, save_directions
from experiments.commands.steering import _Given
from experiments.held_out import is_held_out
from experiments.studies.steering import study as steering
from experiments.studies.styles.study import less_product, separation, without_labels
from experiments.styles import paired_claims, style_directions
from experiments.texts import read_labelled
from tests.experiments.commands.test_cli import fails, run

TEXT = "This trail mug keeps cocoa hot until the summit."
QUICK = ("--drafts", "1", "--rounds", "1", "--device", "cpu", "--json")
CALM = ["A quiet kettle.", "Soft light for calm evenings.", "A gentle tea.", "Rest well in linen.", "Slow mornings."]
LOUD = ["Hurry now!", "Last chance, buy today!", "Only hours left!", "Grab yours at once!", "Act fast, sale ends!"]


@pytest.fixture
def examples(tmp_path: Path) -> str:
    path = tmp_path / "examples.csv"
    rows = [f'"{text}",{label}' for texts, label in ((CALM, "calm"), (LOUD, "loud")) for text in texts]
    path.write_text("\n".join(["text,label", *rows]))
    return str(path)


@pytest.fixture(scope="module")
def directions(space: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of the grammar's styles, from few claims."""
    path = tmp_path_factory.mktemp("directions") / "styles.safetensors"
    save_directions(style_directions(space.encoder, 15), path)
    return str(path)


def test_directions_belong_to_the_encoder_that_they_were_found_with(space: Any) -> None:
    other = SimpleNamespace(name="a folder of mine", size=space.encoder.size, encode=space.encoder.encode)
    assert {direction.encoder for direction in style_directions(other, 15)} == {"a folder of mine"}
    given = _Given(["calm", "loud"], CALM + LOUD, ["calm"] * 5 + ["loud"] * 5)
    assert {found.encoder for found in given.directions(SimpleNamespace(encoder=other))} == {"a folder of mine"}


def test_towards_a_style() -> None:
    result = run("steer", "--text", TEXT, "--towards", "emotional", "--strength", "0.6", *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["new"]
    assert found["text"] != found["parent"] == TEXT
    assert found["degrees"] == pytest.approx(36, abs=0.01)
    old, point, _ = found["along"]["emotional"]
    assert point > old
    (direction,) = found["directions"]
    assert (direction["measure"], len(direction["against"])) == ("balanced accuracy", 9)
    assert direction["score"] > 0.55


def test_own_examples_are_saved(examples: str, tmp_path: Path) -> None:
    path = str(tmp_path / "d.safetensors")
    result = run("steer", "--text", TEXT, "--remove", "calm", "--examples", examples, "--save", path, *QUICK)
    assert result.exit_code == 0, result.output
    assert abs(json.loads(result.stdout)["along"]["calm"][1]) < 1e-6
    assert [d.name for d in load_directions(Path(path))] == ["calm", "loud"]


def test_like_other_texts_with_directions_from_a_file(directions: str) -> None:
    result = run("steer", "--text", TEXT, "--like", LOUD[0], "--like", LOUD[1], "--directions", directions, *QUICK)
    found = json.loads(result.stdout)
    assert "length" not in found["along"]
    assert len(found["along"]) == 10
    assert found["new"]


def test_steer_says_what_does_not_fit(examples: str, directions: str, tmp_path: Path) -> None:
    plain = ("steer", "--text", TEXT, "--device", "cpu")
    given = (*plain, "--directions", directions)
    assert "one of --towards, --remove and --like" in fails(*given)
    assert "one of --towards, --remove and --like" in fails(*given, "--towards", "luxury", "--remove", "urgent")
    assert "there is no direction 'sad'; there are factual" in fails(*given, "--towards", "sad")
    assert "strength is 3; it must lie between -1 and 1" in fails(*given, "--towards", "luxury", "--strength", "3")
    assert "give one of them" in fails(*given, "--towards", "calm", "--examples", examples)
    assert "no column 'mood'; it has text, label" in fails(
        *plain, "--towards", "calm", "--examples", examples, "--label-column", "mood"
    )
    assert "there is no direction 'sad'; there are calm, loud" in fails(
        *plain, "--towards", "sad", "--examples", examples
    )
    few = tmp_path / "few.csv"
    few.write_text("text,label\nHurry!,loud\nSlow tea.,calm\n")
    assert "give at least 5 of each" in fails(*plain, "--towards", "calm", "--examples", str(few))


@pytest.mark.parametrize(("move", "says"), [
    (("--towards", "sad"), "there is no direction 'sad'; there are factual"),
    (("--remove", "sad"), "there is no direction 'sad'"),
    (("--towards", "luxury", "--strength", "1.5"), "strength is 1.5; it must lie between -1 and 1"),
    (("--remove", "luxury", "--strength", "-1"), "strength is -1; it must lie between 0 and 5"),
    (("--like", "Hurry now!", "--strength", "6"), "strength is 6; it must lie between 0 and 5"),
    (("--towards", "shorter", "--trust", "91"), "trust is 91; it must lie between 0 and 90"),
])  # fmt: skip
def test_what_cannot_be_is_said_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, move: tuple[str, ...], says: str
) -> None:
    monkeypatch.setattr("embeddings.space.Space.load", lambda *_, **__: pytest.fail("a model was loaded"))
    assert says in fails("steer", "--text", TEXT, *move)


def test_labels_are_words_or_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rated.csv"
    path.write_text("text,stars\na,1\nb,2.5\nc,4\n")
    assert read_labelled(path, "text", "stars") == (["a", "b", "c"], [1.0, 2.5, 4.0])
    path.write_text("text,stars\na,0\nb,1\n")
    assert read_labelled(path, "text", "stars")[1] == ["0", "1"]
    path.write_text("text,stars\na,1\nb,\nc,4\n")
    with pytest.raises(InputError, match=r"row 2 of .* no text or no label"):
        read_labelled(path, "text", "stars")
    with pytest.raises(InputError, match="there is no file"):
        read_labelled(tmp_path / "none.csv", "text", "stars")


def test_paired_claims_are_about_the_same_products_and_held_out_as_asked() -> None:
    for held_out in (False, True):
        claims = paired_claims(("factual", "emotional"), 6, "a", held_out)
        assert [claim.frame.style for claim in claims] == ["factual", "emotional"] * 6
        assert all(one.record is other.record for one, other in zip(claims[::2], claims[1::2], strict=True))
        assert {is_held_out(claim.text) for claim in claims} == {held_out}


def test_separation_of_what_lies_apart_and_of_what_does_not() -> None:
    rng = np.random.default_rng(0)
    labels, pairs = np.arange(80) % 2 == 1, np.arange(80) // 2
    frames = [str(row % 20) for row in range(80)]
    noise = rng.normal(size=(80, 10))
    apart = separation(noise + 8.0 * labels[:, None], labels, pairs, frames)
    assert apart["kmeans_accuracy"] == apart["linear_accuracy"] == apart["first_component_accuracy"] == 1
    assert apart["adjusted_rand_index"] == 1
    together = separation(noise, labels, pairs, frames)
    assert abs(together["linear_accuracy"] - 0.5) < 0.2
    assert abs(together["adjusted_rand_index"]) < 0.1
    assert 0.5 <= together["kmeans_accuracy"] < 0.7


def test_products_hide_a_style_until_they_are_taken_out() -> None:
    rng = np.random.default_rng(0)
    labels, pairs = np.arange(80) % 2 == 1, np.arange(80) // 2
    values = 20 * rng.normal(size=(40, 10))[pairs] + 2.0 * labels[:, None] + 0.1 * rng.normal(size=(80, 10))
    assert without_labels(values, labels, pairs)["kmeans_accuracy"] < 0.7
    assert without_labels(less_product(values, pairs), labels, pairs)["kmeans_accuracy"] == 1


def test_study_steering_finishes(directions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "style_directions", lambda encoder: load_directions(Path(directions)))
    out = tmp_path / "steering.json"
    result = run("study", "steering", "--claims", "2", "--strength", "1", "--drafts", "1", "--rounds", "0",
                 "--library", "3", "--device", "cpu", "--out", str(out), "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert str(out) in found.pop("files")
    assert found == json.loads(out.read_text())
    ways = {(row["way"], row["strength"]) for row in found["rows"]}
    assert ways >= {("towards a style", 0.0), ("random direction", 1.0), ("nearest stored text", 1.0)}
    assert all(row["new_share"] == 0 for row in found["rows"] if row["way"] == "nearest stored text")
    assert [dose["way"] for dose in found["dose"]] == ["towards a style", "random direction", "length"]
    assert "strengths above 0" in fails("study", "steering", "--strength", "2")


def test_study_styles_writes_numbers_and_a_plot(tmp_path: Path) -> None:
    plot, out = tmp_path / "styles.png", tmp_path / "styles.json"
    result = run("study", "styles", "--products", "12", "--device", "cpu", "--plot", str(plot), "--out", str(out),
                 "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert str(out) in found.pop("files")
    assert found == json.loads(out.read_text())
    assert found["rows"][0]["space"] == "summary embeddings"
    assert all(0.5 <= row["kmeans_accuracy"] <= 1 for row in found["rows"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "give two different ones of factual" in fails("study", "styles", "--second", "factual")
    assert "at least 10" in fails("study", "styles", "--products", "3")


def test_a_text_that_the_checks_refuse_is_not_returned(directions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written(monkeypatch, "A quiet kettle, free for 40 days.")
    given = ("steer", "--text", TEXT, "--directions", directions, "--towards", "urgent", "--device", "cpu")
    found = fails(*given)
    assert "'40' stands in none of its sources; 'free' (offer) stands in none of its sources" in found


@pytest.mark.parametrize("text", [
    "Saturday, 8 o'clock: tickets £20.", "Tickets: 20 % off until Saturday.", "Sale! 20% off tickets until Saturday",
])  # fmt: skip
def test_words_that_do_not_fit_are_not_returned(directions: str, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    written(monkeypatch, "Saturday until clock is tickets: 20.")
    found = fails("steer", "--text", text, "--directions", directions, "--towards", "urgent", "--device", "cpu")
    assert "does not fit where it stands" in found


@pytest.mark.parametrize(
    ("towards", "new", "failed"),
    [("shorter", TEXT.partition(" ")[2], True), ("emotional", TEXT.partition(" ")[2], True),
     ("urgent", "Stock is low on the trail mug that keeps cocoa hot until the summit, so order now.", False)],
)  # fmt: skip
def test_a_text_that_hardly_moved_is_called_a_failure(
    directions: str, monkeypatch: pytest.MonkeyPatch, towards: str, new: str, failed: bool
) -> None:
    written(monkeypatch, new[0].upper() + new[1:])
    given = ("steer", "--text", TEXT, "--directions", directions, "--towards", towards, "--device", "cpu")
    assert json.loads(run(*given, "--json").stdout)["failed"] is failed
    assert ("steering failed" in run(*given).stdout) is failed


def written(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let a search find `text`."""
    monkeypatch.setattr("embeddings.writing.MixtureWriter.nearest", lambda *_, **__: [text])


def test_other_scripts_are_told_what_to_expect(directions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written(monkeypatch, "静かなやかん、早起きの人。")
    given = ("steer", "--directions", directions, "--towards", "urgent", "--device", "cpu", "--text")
    assert "pieces side by side, seldom a sentence" in run(*given, "静かなやかんで寒い日も温かい。").stderr
    assert "pieces side by side" not in run(*given, "Ein stiller Kessel für kühle Tage.").stderr
