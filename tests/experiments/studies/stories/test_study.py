"""Headlines written for stories: scored without teaching anything, kept as they are written, and the command."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from copyloom import InputError
from experiments.studies.headlines.archive import read_whole
from experiments.studies.headlines.words import learn
from experiments.studies.stories import writing
from experiments.studies.stories.scoring import GLUED, HUMAN, SHUFFLED, WRITTEN, score
from experiments.studies.stories.settings import StoryStudy
from experiments.studies.stories.study import chosen
from experiments.studies.stories.writing import Written, write_all
from tests.experiments.commands.test_cli import fails, run

SAID = ("why a mug keeps tea warm all day", "how a mug keeps tea warm all day", "the mug that keeps tea warm all day",
        "a mug for tea that stays warm all day")  # fmt: skip


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Path:
    """Forty tests of four headlines: those with "why" are clicked half as often again."""
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path / "none"))  # without the writer's states
    rng, path = np.random.default_rng(1), tmp_path / "archive.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clickability_test_id", "headline", "impressions", "clicks"])
        for number in range(40):
            rate = 0.02 * rng.gamma(4, 1 / 4)
            for said in SAID:
                true = rate * (1.5 if said.startswith("why") else 1.0) * rng.gamma(25, 1 / 25)
                rows.writerow([number, f"{said} number {number}", 2000, rng.binomial(2000, min(true, 1))])
    return path


def test_what_is_written_is_judged_by_other_tests_and_teaches_them_nothing(archive, tmp_path):
    whole = read_whole(archive)
    stories = np.array([2, 7])
    written = [["why tea is warm all day", "how tea is warm all day"], []]
    found = score(whole, stories, written, 2, tmp_path, lambda *_: None)
    assert [found.kinds.count(kind) for kind in (HUMAN, WRITTEN, SHUFFLED, GLUED)] == [8, 2, 8, 8]
    kinds = np.array(found.kinds)
    assert found.stories.headlines[:5] == (*whole.only([2]).headlines, written[0][0])
    why, how = found.promised[kinds == WRITTEN]
    assert why > how
    for story in (0, 1):
        assert found.promised[(found.stories.tests == story) & (kinds == HUMAN)].mean() == pytest.approx(1)
    assert (found.stories.impressions[kinds != HUMAN] == 0).all()
    assert found.near.shape == (160,)
    alone = score(whole, stories, [[], []], 2, tmp_path, lambda *_: None)
    assert alone.factors == pytest.approx(found.factors, abs=1e-9)
    fold = found.folds[2]
    assert learn(whole, found.folds == fold, {"sentence": _sentences(tmp_path, whole)}).factors[8:12] == (
        pytest.approx(found.factors[8:12], abs=1e-9)
    )


def _sentences(folder: Path, whole) -> np.ndarray:
    kept = [np.load(path) for path in folder.glob("sentence-vectors-*.npy")]
    return next(one for one in kept if len(one) == len(whole.headlines)).astype(np.float64)


def test_what_was_written_is_kept_and_half_a_line_is_written_again(tmp_path, monkeypatch):
    asked = []

    def said(space, story, settings):
        asked.append(story)
        return [Written(story[:2], (0.5, 0.5), f"new {story[0]}", None, 0.9)]

    monkeypatch.setattr(writing, "write", said)
    monkeypatch.setattr(writing.Space, "load", lambda model: None)
    settings, stories = StoryStudy(), [("a", "b"), ("c", "d"), ("a", "b")]
    first = write_all(stories, settings, tmp_path, lambda *_: None)
    assert asked == stories[:2]
    assert first[0] == first[2]
    (file,) = tmp_path.glob("written-*.jsonl")
    file.write_text(file.read_text()[:-9])
    assert write_all(stories, settings, tmp_path, lambda *_: None) == first
    assert asked[2:] == [("c", "d")]
    write_all(stories, StoryStudy(seed=1), tmp_path, lambda *_: None)
    assert asked[3:] == stories[:2]


def test_the_stories_of_a_shorter_study_are_the_first_of_a_longer_one(archive):
    whole = read_whole(archive)
    drawn = chosen(whole, StoryStudy(tests=100))
    assert sorted(drawn) == list(range(40))
    assert chosen(whole, StoryStudy(tests=5)).tolist() == drawn[:5].tolist()
    assert chosen(whole, StoryStudy(tests=5, seed=1)).tolist() != drawn[:5].tolist()
    with pytest.raises(InputError, match="20 sound ones that share nothing"):
        chosen(whole.only(drawn[:20]), StoryStudy(folds=11))
    for wrong in ({"tests": 0}, {"mixtures": 0}, {"folds": 1}, {"draws": 2}, {"seed": -1}):
        with pytest.raises(InputError):
            StoryStudy(**wrong)


def test_the_command_writes_compares_and_says_what_to_believe(archive, tmp_path):
    folder, page, out = tmp_path / "kept", tmp_path / "page.html", tmp_path / "found.json"
    asked = ("study", "stories", "--archive", str(archive), "--tests", "2", "--mixtures", "2", "--folds", "2",
             "--draws", "60", "--folder", str(folder), "--report", str(page), "--out", str(out))  # fmt: skip
    result = run(*asked, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert str(out) in found.pop("files")
    assert found == json.loads(out.read_text())
    assert (found["stories"], found["settings"]["model"]) == (2, "copyloom-tiny")
    assert found["written"]["mixtures"] == 4
    assert found["check"]["rows"][0]["headlines"] == 160
    assert [row["kind"] for row in found["spoilt"]][-2:] == [SHUFFLED, GLUED]
    with (folder / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["kind"] == HUMAN for row in rows) == 8
    assert sum(row["kind"] == WRITTEN for row in rows) == found["written"]["texts"]
    assert "No reader has seen a written headline" in page.read_text()
    assert 'src="http' not in page.read_text()
    again = run(*asked)
    assert again.exit_code == 0, again.output
    assert "People's headlines in the part of the written ones" in again.stdout


def test_what_is_asked_wrongly_is_refused(archive):
    assert "--archive must be given" in fails("study", "stories")
    assert "give tests and mixtures from 1" in fails("study", "stories", "--archive", str(archive), "--tests", "0")
    assert "fewer than 30 folds" in fails("study", "stories", "--archive", str(archive), "--folds", "30")
