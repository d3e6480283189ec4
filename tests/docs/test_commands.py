"""Every shell command of the READMEs and of the documentation runs: as it stands, or in a quick form listed here.

The pages' files (`claims.txt`, `record.yaml`, ...) are small ones of this test. What is not run is listed with its
reason, and checked as far as it can be: its target, its command and its options are there.
"""

import gc
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from embeddings.directions import save_directions
from embeddings.space import Space
from experiments.commands.cli import app
from experiments.simulation.config import RunConfig
from experiments.simulation.runs import run_study
from experiments.studies.preferences.raters import sheet_id
from experiments.styles import style_directions

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("generator", "embeddings", "bandits", "simulator", "experiments")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / name / "README.md" for name in PACKAGES),
         *sorted((ROOT / "docs").rglob("*.md"))]  # fmt: skip

QUICK = {
    "copyloom quickstart": "--model copyloom-tiny --seeds 1 --rounds 2",
    "copyloom mix": "--model copyloom-tiny --drafts 2 --rounds 0",
    "copyloom explore": "--model copyloom-tiny --directions 8",
    "copyloom map(?! runs/)": "--model copyloom-tiny",
    "copyloom steer .*--examples": "--drafts 9 --rounds 0",
    "copyloom steer": "--drafts 9 --rounds 0 --strength 0.5 --directions styles.safetensors",
    "copyloom study radius": "--sample 2",
    "copyloom study vectors": "--limit 2",
    "copyloom train adapter .*--vectors": "--per-text 2 --rows 2 --adapter-steps 2",
    "copyloom train adapter": "--per-text 2 --rows 2 --adapter-steps 1 --joint-steps 1",
}
"""Options that make a documented command short; the first that fits is added."""

STANDS_FOR = {"gpt2": "small-model", "new-version": "copyloom-tiny"}
"""Models that the pages name and a test cannot have."""

NOT_RUN = {
    r"make (quickstart|shop|test|test-slow|lint|docs|check-\w+)": "it installs, or is what runs this test",
    r"copyloom (serve|worker)": "it goes on until it is stopped; tests/experiments/storefront",
    r"copyloom feed .*://": "it needs a server; tests/experiments/storefront/intake",
    r"curl": "it needs a service; tests/experiments/storefront",
    r"pg_(dump|restore)": "it needs a server; tests/experiments/storefront/test_backup.py",
    r"\.ci/run": "it is what runs this test",
    r"pip install": "it installs",
    r"copyloom models get": "it downloads; tests/generator/test_models.py",
    r"copyloom bench": "it takes minutes to hours; tests/experiments/benchmarks",
    r"copyloom evaluate runs/hero.parquet": "nobody has clicked there; tests/experiments/studies/test_storefront.py",
    r"copyloom raters read": "it needs people; tests/experiments/commands/test_raters.py",
    r"python -m experiments.raters": "it takes minutes; tests/experiments/raters",
    r"python -m experiments.studies.preferences": "it takes minutes; tests/experiments/studies/preferences",
    r"copyloom study (tiny|inversion|steering|styles|storefront|calibration)": "it takes minutes; tests/experiments",
    r"copyloom study basins": "it takes minutes; tests/experiments/studies/basins",
    r"copyloom study interventions": "it takes minutes; tests/experiments/studies/interventions",
    r"copyloom study registers": "it takes hours; tests/experiments/studies/registers",
    r"copyloom study elm": "it takes minutes to hours; tests/experiments/studies/elm",
    r"copyloom study eagle": "it takes minutes to hours; tests/experiments/studies/eagle",
    r"copyloom study uplift": "it takes minutes; tests/experiments/studies/uplift",
    r"copyloom study headlines": "it takes minutes and an archive; tests/experiments/studies/headlines",
    r"copyloom study stories": "it takes an hour and an archive; tests/experiments/studies/stories",
    r"copyloom train writer": "it takes hours; tests/experiments/training",
    r"copyloom mix --model runs/(writer/writer|gpt2/model)": "what was trained for two steps writes nothing usable",
    r"copyloom invert .*--engine ray": "tests/embeddings/test_ray_data.py runs it",
    r"copyloom map .*--method umap": "the extra may not be there; tests/experiments/explorer/test_maps.py",
    r"embedding-atlas": "it is not ours; tests/experiments/explorer/test_maps.py checks its table",
}
"""Commands that are only looked up, by their beginning, and why."""

EXIT = {
    "copyloom plan --impressions-per-day 10000 --days 14 --base-rate 0.02 --texts 8 --logit-sd 0.29": 1,
}
"""Exit status of commands that say no; 0 unless listed."""

CLAIMS = """\
The trail mug that keeps cocoa hot until the summit.
Early risers choose the trail mug with a screw-on lid.
A leak-proof trail mug for frosty mornings.
Give travelers the drone that says you care.
The backpack that people will not stop talking about.
"""
HEADLINES = [f"Kettle {number} is quiet." for number in range(10)]
SMALL: dict[str, Any] = {
    "seeds": 2, "rounds": 3, "impressions": 200, "device": "cpu",
    "proposer": {"every": 1, "shortlist": 2, "admit": 1, "warm_up": 8},
}  # fmt: skip


def commands(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def reason(line: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if re.match(start, line)), None)


WITH_COMMANDS = [page for page in PAGES if commands(page)]
RUN_PAGES = [page for page in WITH_COMMANDS if page.parent.name != "measured" and page.name != "CONTRIBUTING.md"]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def marked(page: Path) -> Any:
    """Return a page as a case; those of the guides take longer."""
    return pytest.param(page, id=name(page), marks=[pytest.mark.slow] if page.parent.name == "guide" else [])


@pytest.fixture(scope="module", autouse=True)
def remembered(memo: Path) -> Iterator[None]:
    """Let commands find what those before them wrote, as a person's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPYLOOM_MEMO", str(memo))
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, random_model: Callable[..., Any], memo: Path) -> Path:
    """Return a folder with the small files that the pages' commands take."""
    folder = tmp_path_factory.mktemp("pages")
    texts = CLAIMS.splitlines()
    (folder / "claims.txt").write_text(CLAIMS)
    for file in ("titles.txt", "headlines.txt"):
        (folder / file).write_text("\n".join(HEADLINES))
    (folder / "story.txt").write_text(" ".join(texts))
    editor = (ROOT / "docs" / "how-to" / "editor.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", editor, re.DOTALL)
    for file, block in zip(("record.yaml", "brand.yaml"), blocks, strict=True):
        (folder / file).write_text(block)
    scientist = (ROOT / "docs" / "how-to" / "scientist.md").read_text(encoding="utf-8")
    policies = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", scientist, re.DOTALL)[0])
    for file in ("run.yaml", "policies.yaml"):
        (folder / file).write_text(yaml.safe_dump(SMALL | policies))
    (folder / "pairs.csv").write_text(f"a,b,weight\n{texts[3]},{texts[4]},0.6\n{texts[0]},{texts[3]},\n")
    log = [f"{'ab'[row % 2]},{int(row % 7 == 0)},0.5" for row in range(400)]
    (folder / "log.csv").write_text("\n".join(["text,reward,propensity", *log]))
    (folder / "events.jsonl").write_text('{"type": "reward", "event_id": "e1", "reward_id": "click", "value": 1}\n')
    tests = [f"{start} {thing}{end}" for start in ("Feel the joy of this", "Made of steel, this", "Take the")
             for thing in ("kettle", "mug", "lamp") for end in ("", "!", " with a lid", " for you")]  # fmt: skip
    shown = [f'"{text}",{place % 5},1000,{20 + place}' for place, text in enumerate(tests)]
    (folder / "tests.csv").write_text("\n".join(["text,test,impressions,clicks", *shown]))
    for rater in ("anna", "bert"):
        marks = [f"{sheet_id(text)},{1 + (place + len(rater)) % 7}" for place, text in enumerate(tests)]
        (folder / f"ratings-{rater}.csv").write_text("\n".join(["id,emotional", *marks]))
    systems = [f"Words of {by} on {item}.,{by},{item},about {item}" for item in range(12) for by in ("one", "other")]
    (folder / "written.csv").write_text("\n".join(["text,source,item,about", *systems]))
    (folder / "target.csv").write_text("text,probability\na,0.8\nb,0.2\n")
    (folder / "mine.csv").write_text(
        "text,clicks\n" + "".join(f"{text} {number},{number}\n" for text in texts for number in range(4))
    )
    (folder / "products.csv").write_text(
        "Handle,Title,Body (HTML),Vendor,Variant Price\n"
        "trail-mug,Trail Mug,<p>Keeps cocoa hot.</p>,Acme,19.90\ndrone,Drone,Flies 2 km.,Zipp,99\n"
    )
    (folder / "assets.csv").write_text(
        'Asset report\nAsset,Asset type,Impr.,Clicks\nWarm socks for all,Headline,"1,200",40\n'
        'Dry feet all day,Headline,900,20\nSoft and warm.,Description,900,20\nTotal: Assets, --,"3,000",80\n'
    )
    shutil.copy(ROOT / "examples" / "click_model" / "shoppers.py", folder)
    _write_arrays(folder)
    model = random_model()
    model.model.save_pretrained(folder / "small-model")
    model.tokenizer.save_pretrained(folder / "small-model")
    space = Space.load(device="cpu")
    save_directions(style_directions(space.encoder, records=8), folder / "styles.safetensors")
    run_study(RunConfig(**SMALL), folder / "runs" / "quickstart", lambda stage, done, total: None, memo=memo)
    return folder


def _write_arrays(folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"headline": HEADLINES}), folder / "headlines.parquet")
    pq.write_table(pa.table({"type": ["expose"], "event_id": ["e1"]}), folder / "events.parquet")
    np.save(folder / "factors.npy", np.random.default_rng(0).normal(size=(len(HEADLINES), 6)).astype(np.float32))


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Load each model, and find the styles' directions, a single time: what is tested are commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Space, "load", staticmethod(cache(Space.load)))
        patch.setattr("experiments.styles.style_directions", cache(style_directions))
        yield


@pytest.mark.parametrize("page", [marked(page) for page in RUN_PAGES])
def test_commands_run(page: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the page's order, in one folder: later commands take what earlier ones wrote."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        if reason(line):
            continue
        words = shlex.split(line, comments=True)
        documented = shlex.join(words)
        added = next((options for start, options in QUICK.items() if re.match(start, line)), "")
        words = [*(STANDS_FOR.get(word, word) for word in words), *shlex.split(added)]
        assert words[0] == "copyloom", f"{line}: neither a command of ours nor in NOT_RUN"
        result = CliRunner().invoke(app, words[1:])
        gc.collect()  # closes databases, as the end of its process would
        assert result.exit_code == EXIT.get(documented, 0), f"{line}\n{result.output}\n{result.exception!r}"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_commands_are_there(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are not run too: the target of make, the command and its options, a page's own settings too."""
    makefile = (ROOT / "Makefile").read_text()
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for file in re.findall(r"^copyloom study .*--settings (\S+)", "\n".join(commands(page)), re.MULTILINE):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(next(block for block in blocks if block.startswith("worlds:")))
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:.*## ", makefile, re.MULTILINE), line
        elif words[0] == "copyloom":
            command: Any = typer.main.get_command(app)
            rest = words[1:]
            while hasattr(command, "commands"):
                command = command.commands[rest.pop(0)]
            command.make_context(line, rest)
        else:
            assert reason(line), line


def test_every_reason_is_needed() -> None:
    lines = [line for page in PAGES for line in commands(page)]
    for start in (*NOT_RUN, *QUICK):
        assert any(re.match(start, line) for line in lines), start


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_the_text_are_there(page: Path) -> None:
    """Such as `copyloom study radius`: they exist, with their options."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for said in re.findall(r"`(copyloom [a-z][^`]*)`", text):
        command: Any = typer.main.get_command(app)
        words = said.split()[1:]
        while hasattr(command, "commands") and words and words[0].isalpha():
            command = command.commands[words.pop(0)]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known | {"--help"}, said


def test_no_command_hides_in_another_block() -> None:
    for page in PAGES:
        for kind, block in re.findall(
            r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            assert kind == "sh" or not re.search(r"^(copyloom|make|pip) ", block, re.MULTILINE), (page, block)
