"""What makes a study this one is what files hold, not where they lie."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from copyloom import InputError
from experiments.campaigns.given import given_texts
from experiments.simulation.config import RunConfig
from experiments.simulation.identity import contents, identity, known_as
from experiments.simulation.runs import run_study
from tests.experiments.simulation.test_runs import quiet, states, stop_at
from tests.experiments.simulation.test_worlds import EXAMPLE, TEXTS

SHOPPERS = Path(EXAMPLE.rpartition(":")[0])
TABLES = {"archive": "clickability_test_id,headline\n1,A mug\n", "ratings": "userId,movieId,rating\n1,1,4\n",
          "items": "movieId,extract\n1,A mug is lost.\n"}  # fmt: skip


def lay(folder: Path) -> None:
    """Put files into a folder that settings name."""
    folder.mkdir()
    shutil.copy(SHOPPERS, folder / "shoppers.py")
    for name, content in TABLES.items():
        (folder / f"{name}.csv").write_text(content)
    (folder / "claims.txt").write_text("\n".join(TEXTS))
    (folder / "past.csv").write_text("text,impressions,clicks\nA mug,400,30\nA cup,400,20\n")


def own_model(folder: Path) -> dict[str, Any]:
    own = {
        "model": f"{folder / 'shoppers.py'}:ShortTexts",
        "settings": {"table": str(folder / "items.csv"), "slope": 1},
    }
    return {"click_model": own, "prior": {"text_prior": {"past": folder / "past.csv"}}}


def headlines(folder: Path) -> dict[str, Any]:
    return {"world": {"name": "headlines", "archive": folder / "archive.csv"}}


def ratings(folder: Path) -> dict[str, Any]:
    return {"world": {"name": "ratings", "ratings": folder / "ratings.csv", "items": folder / "items.csv"}}


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        (own_model, ["shoppers.py", "items.csv", "past.csv", "claims.txt"]),
        (headlines, ["archive.csv", "claims.txt"]),
        (ratings, ["ratings.csv", "items.csv", "claims.txt"]),
    ],
)
def test_moved_files_are_the_same_and_changed_ones_are_not(settings: Any, files: list[str], tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    lay(first)
    lay(other)

    def known(folder: Path, than: str | None = None, **changes: Any) -> str:
        config = RunConfig(texts=folder / "claims.txt", **settings(folder), **changes)
        return known_as(config, given_texts(config), than)

    before = known(first)
    assert known(other) != before  # where they lie is on record
    assert known(other, before) == before
    assert known(first, before, seeds=3) != before
    for name in files:
        text = (other / name).read_text()
        end = "# changed\n" if name.endswith(".py") else "A cup,1,0\n" if name == "past.csv" else "2,A cup,5\n"
        (other / name).write_text(f"{text.rstrip()}\n{end}")
        assert known(other, before) != before, name
        (other / name).write_text(text)
    assert known(other, before) == before


def test_another_class_of_a_file_is_another_model(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(SHOPPERS.read_text() + "\n\nclass Others(ShortTexts):\n    pass\n")
    kinds = [contents(RunConfig(click_model=f"{tmp_path / 'two.py'}:{name}")) for name in ("ShortTexts", "Others")]
    assert kinds[0] != kinds[1]
    with pytest.raises(InputError, match="no class 'More'"):
        contents(RunConfig(click_model=f"{tmp_path / 'two.py'}:More"))
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        contents(RunConfig(world={"name": "headlines", "archive": tmp_path / "gone.csv"}))


def test_an_older_run_goes_on_where_its_paths_are_the_same(tmp_path: Path) -> None:
    lay(tmp_path / "first")
    config = RunConfig(texts=tmp_path / "first" / "claims.txt", **headlines(tmp_path / "first"))
    given = given_texts(config)
    older = json.loads(identity(config, given))
    del older["files"]
    assert known_as(config, given, json.dumps(older)) == json.dumps(older)
    lay(tmp_path / "other")
    moved = RunConfig(texts=tmp_path / "other" / "claims.txt", **headlines(tmp_path / "other"))
    assert known_as(moved, given_texts(moved), json.dumps(older)) != json.dumps(older)


def test_a_stopped_run_goes_on_elsewhere_but_not_with_other_shoppers(tmp_path: Path) -> None:
    small = {"seeds": 1, "rounds": 3, "impressions": 200, "proposer": {"warm_up": 0}, "device": "cpu",
             "rules": {"full_stop": False, "only_known_words": False, "min_characters": 5}}  # fmt: skip
    for name in ("here", "whole"):
        lay(tmp_path / name)

    def config(folder: Path) -> RunConfig:
        return RunConfig(**small, texts=folder / "claims.txt", click_model=f"{folder / 'shoppers.py'}:ShortTexts")

    run_study(config(tmp_path / "whole"), tmp_path / "whole" / "run", quiet)
    with pytest.raises(KeyboardInterrupt):
        run_study(config(tmp_path / "here"), tmp_path / "here" / "run", stop_at("showing texts to shoppers", 2))
    there = (tmp_path / "here").rename(tmp_path / "there")
    source = (there / "shoppers.py").read_text()
    (there / "shoppers.py").write_text(source + "# likes it less\n")
    with pytest.raises(InputError, match="other settings"):
        run_study(config(there), there / "run", quiet)
    (there / "shoppers.py").write_text(source)
    run_study(config(there), there / "run", quiet)
    assert states(there / "run") == states(tmp_path / "whole" / "run")
