"""The built wheel runs the main job by itself, and carries nothing that a user does not need."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("experiments/benchmarks/", "experiments/corpora/", "experiments/training/",
            "experiments/studies/inversion/", "experiments/studies/tiny/", "tests/", "docs/", "runs/")  # fmt: skip
SHIPPED = {"copyloom", "generator", "embeddings", "bandits", "simulator", "experiments"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of what git tracks, or would: built elsewhere, so that no old build folder has a part in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(ROOT / name)
    build = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(out),
        str(source),
    ]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (found,) = out.glob("copyloom-*.whl")
    return found


@pytest.fixture(scope="module")
def copyloom(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the command of a new environment that holds the wheel.

    Dependencies are not installed a second time, which would take minutes: a .pth file adds the folder of this
    environment's, behind the new one's own. An editable install of the checkout must not answer for the wheel; its
    finder stands in a .pth file too, and those of added folders are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    (site / "dependencies.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n")
    return str(folder / "bin" / "copyloom")


def run(command: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([command, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_it_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == SHIPPED
    assert [name for name in names if name.startswith(LEFT_OUT)] == []
    assert [name for name in names if name.startswith("experiments/data/")] == ["experiments/data/claims.yaml"]
    for needed in ("generator/copyloom_tiny/model.safetensors", "generator/smollm2_writer/adapter.safetensors.xz",
                   "experiments/reports/templates/report.html.j2", "embeddings/migrations/env.py"):  # fmt: skip
        assert needed in names


def test_it_runs_the_main_job(copyloom: str, tmp_path: Path) -> None:
    found = run(copyloom, "quickstart", "--model", "copyloom-tiny", "--seeds", "1", "--rounds", "1", "--device", "cpu",
                folder=tmp_path)  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "runs" / "quickstart" / "report.html").stat().st_size > 10_000


def test_the_checkout_does_not_answer_for_it(copyloom: str, tmp_path: Path) -> None:
    python = str(Path(copyloom).with_name("python"))
    code = "import experiments, generator; print(experiments.__file__, generator.__file__)"
    found = run(python, "-c", code, folder=tmp_path).stdout.split()
    assert all(Path(file).is_relative_to(Path(copyloom).parents[1]) for file in found)


@pytest.mark.parametrize("command", ["bench mix", "study inversion", "train tiny", "train editor"])
def test_commands_that_it_leaves_out_say_so(copyloom: str, tmp_path: Path, command: str) -> None:
    found = run(copyloom, *command.split(), folder=tmp_path)
    assert found.returncode == 2
    assert "comes with its source alone" in found.stderr
    assert "Traceback" not in found.stderr
