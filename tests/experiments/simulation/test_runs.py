"""The main job: its numbers repeat, survive a kill, and mean what they say."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from sqlalchemy import create_engine

from copyloom import InputError, Report
from embeddings.database import open_database
from embeddings.encoder import SentenceEncoder
from embeddings.migrations import upgrade
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.writing import MixtureWriter
from experiments.campaigns.given import given_texts
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State, replay
from experiments.campaigns.workshop import settled
from experiments.simulation.config import RunConfig
from experiments.simulation.runs import (
    CONFIG,
    DATABASE,
    REPORT,
    REPORT_DATA,
    SUMMARY,
    render,
    render_campaign,
    run_study,
)
from experiments.texts import shipped_claims

SMALL: dict[str, Any] = {
    "seeds": 2,
    "rounds": 8,
    "impressions": 400,
    "device": "cpu",
    "proposer": {"every": 2, "until": 1.0, "shortlist": 3, "admit": 2, "warm_up": 40, "promote_at": 0.05},
}

SHORT = {**SMALL, "seeds": 1, "rounds": 4}


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def stop_at(stage: str, reached: int) -> Report:
    """Return a listener that stops the run when a stage has come so far."""

    def hear(heard: str, done: int, total: int) -> None:
        if heard == stage and done >= reached:
            raise KeyboardInterrupt

    return hear


def numbers(folder: Path) -> str:
    summary = json.loads((folder / SUMMARY).read_text())
    del summary["seconds"]
    return json.dumps(summary)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, memo: Path) -> Path:
    """Return the folder of a small finished study."""
    folder = tmp_path_factory.mktemp("study")
    run_study(RunConfig(**SMALL), folder, quiet, memo=memo)
    return folder


def test_summary_has_the_promised_keys(finished: Path) -> None:
    summary = json.loads((finished / SUMMARY).read_text())
    promised = (
        "ctr_loop ctr_best_stored ctr_uniform uplift uplift_interval seeds texts_stored texts_written exact_share"
    )
    assert set(f"{promised} seconds device versions config".split()) <= set(summary)
    assert summary["ctr_uniform"] <= summary["ctr_best_stored"] <= summary["best_possible_ctr"]
    assert summary["exact_share"] == 1.0
    counted = json.loads((finished / REPORT_DATA).read_text())["refused"]["written"]
    assert summary["texts_written"] + summary["texts_refused"] == counted
    assert "<svg" in (finished / REPORT).read_text()


def states(folder: Path) -> dict[str, State]:
    """Return the campaigns of a run folder as the ledger tells them."""
    ledger = Ledger(open_database(folder / DATABASE, create=False))
    return {name: replay(event.what for event in ledger.events(name)) for name in ledger.names()}


def test_a_finished_study_is_left_as_it_is_and_played_anew_only_by_force(finished: Path, memo: Path) -> None:
    before, stamps = numbers(finished), {file.name: file.stat().st_mtime_ns for file in finished.iterdir()}
    data = run_study(RunConfig(**SMALL), finished, quiet)
    assert {file.name: file.stat().st_mtime_ns for file in finished.iterdir()} == stamps
    assert data["summary"] == json.loads((finished / SUMMARY).read_text())
    run_study(RunConfig(**SMALL), finished, quiet, force=True, memo=memo)
    assert numbers(finished) == before
    assert (finished / SUMMARY).stat().st_mtime_ns > stamps[SUMMARY]


def test_stopped_and_resumed_anywhere_ends_like_one_that_was_not(finished: Path, tmp_path: Path) -> None:
    """Stopped five times: while storing, while writing, and between rounds."""
    for stage, reached in [
        ("storing texts", 1), ("writing the first mixtures", 1), ("showing texts to shoppers", 1),
        ("writing new mixtures", 1), ("showing texts to shoppers", 5),
    ]:  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            run_study(RunConfig(**SMALL), tmp_path, stop_at(stage, reached))
    stages: list[str] = []
    run_study(RunConfig(**SMALL), tmp_path, lambda stage, done, total: stages.append(stage))
    assert "resuming after round 5" in stages
    assert numbers(tmp_path) == numbers(finished)
    assert states(tmp_path) == states(finished)


@pytest.mark.parametrize("rounds", [7, 8])
def test_resuming_writes_and_encodes_nothing_that_is_on_record(
    finished: Path, memo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """Stopped before the last round, in which nothing is proposed, and after it; gone on without the memo."""
    with pytest.raises(KeyboardInterrupt):
        run_study(RunConfig(**SMALL), tmp_path, stop_at("showing texts to shoppers", rounds), memo=memo)
    asked: list[str] = []
    encode = SentenceEncoder.encode
    monkeypatch.setattr(SentenceEncoder, "encode", lambda self, texts: asked.extend(texts) or encode(self, texts))
    monkeypatch.setattr(MixtureWriter, "write", lambda *args, **kwargs: pytest.fail("a mixture was written again"))
    monkeypatch.setattr(Space, "invert", lambda *args, **kwargs: pytest.fail("a text was inverted again"))
    run_study(RunConfig(**SMALL), tmp_path, quiet)
    assert asked == []


def test_a_text_is_encoded_once_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = SentenceEncoder.encode
    monkeypatch.setattr(SentenceEncoder, "encode", lambda self, texts: asked.extend(texts) or encode(self, texts))
    run_study(RunConfig(**SHORT), tmp_path, quiet)
    assert asked
    assert len(asked) == len(set(asked))


def test_ledger_holds_every_impression_and_probabilities_sum_to_one(finished: Path) -> None:
    found = states(finished)
    assert len(found) == 8  # two worlds, two seeds, with and without mixing
    for state in found.values():
        impressions, clicks = state.totals
        assert impressions.sum() == 8 * 400
        assert 0 < clicks.sum() < impressions.sum()
        assert len(state.snapshots) == len(state.closed) == 8
        for snapshot in state.snapshots:
            assert abs(sum(snapshot.probabilities) - 1) < 1e-9


def test_texts_without_mixing_are_the_stored_ones(finished: Path) -> None:
    for name, state in states(finished).items():
        assert bool(state.drafts) == ("no mixing" not in name)


def test_promoted_texts_join_the_pool_with_their_lineage(finished: Path, space: Space) -> None:
    members = Pool(open_database(finished / DATABASE), "study", space.identity).members()
    promoted = [embedding for embedding in members if embedding.lineage]
    assert len(members) == 60 + len(promoted)
    assert promoted
    assert all(abs(sum(embedding.lineage.weights) - 1) < 1e-6 for embedding in promoted if embedding.lineage)


def test_other_settings_in_the_same_folder_are_refused(finished: Path) -> None:
    before = numbers(finished)
    with pytest.raises(InputError, match="other settings"):
        run_study(RunConfig(**{**SMALL, "seeds": 3}), finished, quiet)
    assert numbers(finished) == before


def test_a_run_goes_on_with_its_own_file_of_settings(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / SUMMARY).unlink()
    again = run_study(RunConfig.from_yaml(folder / CONFIG), folder, quiet)
    assert states(folder) == states(finished)
    assert again["summary"] == run_study(RunConfig(**SMALL), folder, quiet)["summary"]
    changed = (folder / CONFIG).read_text().replace("impressions: 400", "impressions: 401")
    (folder / CONFIG).write_text(changed)
    with pytest.raises(InputError, match="other settings or texts"):
        run_study(RunConfig.from_yaml(folder / CONFIG), folder, quiet)


@pytest.mark.parametrize("model", ["copyloom-tiny", "smollm2"])
def test_what_is_settled_stays_settled(model: str, tmp_path: Path) -> None:
    config = RunConfig(model=model, proposer={"every": 5})
    given = given_texts(config)
    found = settled(config, given)
    (tmp_path / CONFIG).write_text(yaml.safe_dump(found.model_dump(mode="json")))
    assert found.rules is not None
    assert (found.proposer.every, found.proposer.warm_up) == (5, 24 if model == "smollm2" else 192)
    assert settled(RunConfig.from_yaml(tmp_path / CONFIG), given).model_dump() == found.model_dump()


def test_settings_that_are_newer_than_a_run_and_as_usual_are_no_others(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    engine = open_database(folder / DATABASE)
    with engine.begin() as connection:
        (known,) = connection.exec_driver_sql("SELECT config FROM runs").one()
        older = json.loads(known)
        del older["config"]["trust_remote_code"], older["config"]["policy"]["segments"]
        connection.exec_driver_sql("UPDATE runs SET config = ?", (json.dumps(older),))
    engine.dispose()
    assert run_study(RunConfig(**SMALL), folder, quiet)["summary"] == json.loads((folder / SUMMARY).read_text())
    with pytest.raises(InputError, match="other settings or texts"):
        run_study(RunConfig(**{**SMALL, "policy": {"segments": {}}}), folder, quiet)


def test_report_can_be_drawn_again(finished: Path, tmp_path: Path) -> None:
    before = (finished / REPORT).read_text()
    assert render(finished).read_text() == before
    with pytest.raises(InputError, match="no finished run"):
        render(tmp_path)


def test_own_texts_without_subject(tmp_path: Path) -> None:
    texts = tmp_path / "claims.txt"
    texts.write_text("\n".join([
        "Double room close to the old town", "Sunny flat with a view of the river", "Quiet studio near the station",
        "Cosy loft in the heart of the city", "Modern apartment with free parking", "Charming cottage by the sea",
    ]))  # fmt: skip
    rules = {"full_stop": False, "only_known_words": False, "min_characters": 5}
    data = run_study(RunConfig(**{**SHORT, "texts": texts, "rules": rules}), tmp_path / "run", quiet)
    summary = data["summary"]
    assert summary["world"] == "sentence space"
    assert summary["texts_own"] == 6
    assert not any("too few" in note for note in summary["notes"])
    assert 0 <= summary["unreadable_share"] <= 1
    assert summary["best_possible_ctr"] is None
    assert data["control"] is None
    assert summary["texts_stored"] == 6


def test_texts_that_changed_since_a_run_was_stopped_are_refused(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "showing texts to shoppers":
            raise KeyboardInterrupt

    texts = tmp_path / "claims.txt"
    texts.write_text("Sunny flat by the river\nQuiet studio near the station\nCosy loft in town\n")
    config = RunConfig(**{**SMALL, "texts": texts})
    with pytest.raises(KeyboardInterrupt):
        run_study(config, tmp_path / "run", stop)
    texts.write_text("Quiet studio near the station\nSunny flat by the river\nCosy loft in town\n")
    with pytest.raises(InputError, match="other settings or texts"):
        run_study(config, tmp_path / "run", quiet)


def test_two_runs_at_once_in_one_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(InputError, match="another run is writing"):
        run_study(RunConfig(**SMALL), tmp_path, quiet)


def test_texts_that_mean_the_same(tmp_path: Path) -> None:
    texts = tmp_path / "claims.txt"
    texts.write_text("A QUIET KETTLE\na quiet kettle\n")
    data = run_study(RunConfig(**{**SHORT, "texts": texts}), tmp_path / "run", quiet)
    assert data["summary"]["texts_stored"] == 2


def test_subject_that_no_text_names(tmp_path: Path) -> None:
    texts, record = tmp_path / "claims.txt", tmp_path / "record.yaml"
    texts.write_text("Sunny flat\nQuiet studio\n")
    record.write_text("name: teapot\n")
    with pytest.raises(InputError, match="0 of the 2 texts name the subject 'teapot'"):
        run_study(RunConfig(**{**SMALL, "texts": texts, "subject": record}), tmp_path / "run", quiet)


def test_texts_of_ones_own_that_do_not_name_the_subject(tmp_path: Path) -> None:
    texts, record, own = (tmp_path / name for name in ("claims.txt", "record.yaml", "own.txt"))
    lines = [
        "Pour the first cup without a drop.",
        "Steam that wakes the house.",
        "A mug for early risers.",
        "Sunny flat",
    ]
    texts.write_text("\n".join(lines))
    record.write_text("name: teapot\nquality: [quiet]\nbenefit: [pours without a drop]\n")
    own.write_text("\n".join(lines[:2]))
    config = RunConfig(**{**SHORT, "texts": texts, "subject": record, "own": own})
    summary = run_study(config, tmp_path / "run", quiet)["summary"]
    assert summary["texts_own"] == 2
    assert any(note.startswith("only 2 of the 4 stored texts are about the subject") for note in summary["notes"])
    own.write_text("Somebody else's text\nAnother\n")
    with pytest.raises(InputError, match="0 of the 4 texts stand in"):
        run_study(config, tmp_path / "other", quiet)


def test_a_pretrained_writer_is_asked_for_less() -> None:
    settings = RunConfig(proposer={"every": 2}).proposer
    assert settings.resolved(composes=False) == settings
    composing = settings.resolved(composes=True)
    assert (composing.every, composing.shortlist) == (2, 1)
    assert composing.warm_up < settings.warm_up


def test_policies_side_by_side_in_one_study(finished: Path, tmp_path: Path, memo: Path) -> None:
    """Vowpal Wabbit's campaigns run beside the others, which notice nothing of it."""
    file = tmp_path / "study.yaml"
    beside = ["vowpal-wabbit", {"name": "ucb", "holdout": {"share": 0.1}}, {"name": "vowpal-wabbit", "mixes": True}]
    settings = {**SMALL, "policy": "thompson", "beside": beside}
    file.write_text(json.dumps(settings))
    summary = run_study(RunConfig.from_yaml(file), tmp_path / "run", quiet, memo=memo)["summary"]
    alone = json.loads((finished / SUMMARY).read_text())
    assert [row["policy"] for row in summary["policies"]] == [
        "thompson", "vowpal-wabbit", "ucb, holdout share 0.1", "vowpal-wabbit, mixes True",
    ]  # fmt: skip
    assert summary["ctr_loop"] == alone["ctr_loop"]
    assert summary["uplift"] == alone["uplift"]
    found = states(tmp_path / "run")
    assert len(found) == 8 + 6
    mixed = found["open, seed 0, mixing, vowpal-wabbit, mixes True"]
    assert 0 < len(mixed.chances) < len(mixed.tried)
    assert not found["open, seed 0, mixing, vowpal-wabbit"].chances
    first = RunConfig.from_yaml(file).model_copy(update={"seeds": 1})
    with pytest.raises(KeyboardInterrupt):
        run_study(first, tmp_path / "stopped", stop_at("showing texts to shoppers", 5), memo=memo)
    run_study(first, tmp_path / "stopped", quiet, memo=memo)
    assert states(tmp_path / "stopped") == {name: state for name, state in found.items() if "seed 0" in name}
    held = found["open, seed 0, mixing, ucb, holdout share 0.1"]
    assert all(snapshot.probabilities[0] >= 0.1 for snapshot in held.snapshots)
    with pytest.raises(InputError, match="thompson plays twice"):
        RunConfig.checked(beside=["thompson"])


def test_segments_curvature_and_earlier_texts_from_yaml_stopped_and_resumed(
    finished: Path, tmp_path: Path, memo: Path
) -> None:
    claims, _ = shipped_claims()
    past = [f'"{text}",4000,{60 + 40 * ("!" in text)}' for text in claims]
    (tmp_path / "past.csv").write_text("\n".join(["text,impressions,clicks", *past]))
    prior = {"text_prior": {"past": str(tmp_path / "past.csv")}, "curvature": {"kind": "fourier"}}
    settings = {**SMALL, "seeds": 1, "rounds": 6, "features": 8, "prior": prior, "policy": {"segments": {}},
                "beside": ["thompson"]}  # fmt: skip
    data = run_study(RunConfig(**settings), tmp_path / "run", quiet, memo=memo)
    with pytest.raises(KeyboardInterrupt):
        run_study(RunConfig(**settings), tmp_path / "stopped", stop_at("showing texts to shoppers", 3), memo=memo)
    again = run_study(RunConfig(**settings), tmp_path / "stopped", quiet, memo=memo)
    found = states(tmp_path / "run")
    assert states(tmp_path / "stopped") == found
    assert [row["policy"] for row in again["summary"]["policies"]] == ["thompson, segments share 0.2", "thompson"]
    assert data["summary"]["policies"] == again["summary"]["policies"]
    assert f"the opinion of {len(claims)} earlier texts was" in data["summary"]["notes"][-1]
    snapshots = found["open, seed 0, mixing"].snapshots
    assert {len(snapshot.by_segment) for snapshot in snapshots} == {3}
    assert {row["ctr_true"] for row in data["example"]["texts"] + data["best_new"]} == {None}
    middle = snapshots[len(snapshots) // 2]  # in the last, all may be shown the same best
    assert middle.by_segment[0] != middle.by_segment[1]
    assert all(not snapshot.by_segment for snapshot in found["open, seed 0, mixing, thompson"].snapshots)
    (tmp_path / "past.csv").write_text("\n".join(["text,impressions,clicks", *past[1:]]))
    with pytest.raises(InputError, match="other settings or texts"):
        run_study(RunConfig(**settings), tmp_path / "run", quiet, memo=memo)


def test_a_campaign_of_a_run_has_a_page_of_its_own(finished: Path, tmp_path: Path) -> None:
    path = render_campaign(finished, "open, seed 1, mixing", tmp_path / "page.html")
    assert "True CTR" in path.read_text()
    with pytest.raises(InputError, match="no campaign 'open, seed 7' among the 8"):
        render_campaign(finished, "open, seed 7")
    with pytest.raises(InputError, match="holds no run"):
        render_campaign(tmp_path, "open, seed 1, mixing")


def test_a_run_folder_of_an_older_copyloom_keeps_its_report_until_it_is_forced(memo: Path, tmp_path: Path) -> None:
    """Its database is of the first revision, with rows of campaigns and no event."""
    engine = create_engine(f"sqlite:///{tmp_path / DATABASE}")
    with engine.begin() as connection:
        upgrade(connection, "", "1")
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql("INSERT INTO runs VALUES (1, 'settings of then')")
        connection.exec_driver_sql("INSERT INTO campaigns VALUES (0, 'open, seed 0, mixing')")
    engine.dispose()
    (tmp_path / SUMMARY).write_text("{}")
    (tmp_path / REPORT).write_text("the report of then")
    config = RunConfig(**{**SMALL, "seeds": 1, "rounds": 2})
    with pytest.raises(InputError, match="a study of an older Copyloom, and its report; run the study again with"):
        run_study(config, tmp_path, quiet)
    assert (tmp_path / REPORT).read_text() == "the report of then"
    assert run_study(config, tmp_path, quiet, force=True, memo=memo)["summary"]["rounds"] == 2


def test_the_ledger_is_read_as_the_readme_says(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[3] / "experiments" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(code.replace("runs/quickstart/study.sqlite", str(finished / DATABASE)), {})
    assert json.loads((finished / SUMMARY).read_text())["subject"]["name"] in capsys.readouterr().out
