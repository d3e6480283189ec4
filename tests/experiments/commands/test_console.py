"""What is printed is what was written: no markup, no emoji codes; JSON is UTF-8; what cannot be printed is one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.commands import console
from tests.experiments.commands.test_cli import fails, run

PLAN = ("plan", "--impressions-per-day", "10000", "--texts", "5", "--base-rate", "0.02", "--lift", "0.3")
START = "from experiments.commands.start import main; main()"
ODD = ["s:m:l for :fire: sale.", "in runs/[red]a[/red]", r"a\[b]", "caf\u00e9 \u5bff\u53f8", "x" * 200]


def ran(*arguments: str, out: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Return what a command of its own process printed."""
    return subprocess.run([sys.executable, "-c", START, *arguments], stdout=out, stderr=subprocess.PIPE,
                          env={**os.environ, **environment}, check=False)  # fmt: skip


def test_letters_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ODD:
        console.out.print(text)
    console.table("a [b] :fire:", ["text"], [[text] for text in ODD[:-1]])
    shown = capsys.readouterr().out
    assert shown.splitlines()[: len(ODD) + 1] == [*ODD, "a [b] :fire:"]
    assert [line.rstrip() for line in shown.splitlines()[-len(ODD) + 1 :]] == ODD[:-1]


def test_progress_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as show:
        show("reading [b]:fire:", 0, 2)
    assert capsys.readouterr().err == "reading [b]:fire:: 0 of 2\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_utf_8_and_tables_replace_what_cannot_be_shown(encoding: str) -> None:
    printing = (
        "import sys; sys.argv = ['copyloom', *sys.argv[1:]]\n"
        "from experiments.commands import cli, console\n"
        "@cli.app.command('show')\n"
        "def show(as_json: bool = False) -> None:\n"
        "    text = {'text': '\u5bff\u53f8 caf\u00e9 \\udc80'}\n"
        "    console.deliver(text, lambda found: console.table('\u2713', ['text'], [[found['text']]]), as_json)\n"
        "cli.app()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    shown, data = (
        subprocess.run(
            [sys.executable, "-c", printing, "show", *more], capture_output=True, env=environment, check=True
        )
        for more in ((), ("--as-json",))
    )
    assert json.loads(data.stdout.decode("utf-8"))["text"] == "\u5bff\u53f8 caf\u00e9 \udc80"
    table = shown.stdout.decode(encoding)
    assert ("\u5bff\u53f8 caf\u00e9 ?" if encoding == "utf-8" else "?? caf") in table


def test_a_full_standard_output_is_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        table = ran(*PLAN, out=full.fileno())
        data = ran(*PLAN, "--json", out=full.fileno(), TMPDIR=str(tmp_path))
    for done in (table, data):
        assert done.returncode == 2
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("error: ")
        assert "No space left on device" in line
    (kept,) = tmp_path.glob("copyloom-*/result.json")
    assert json.loads(kept.read_text())["texts"] == 5


def test_a_terminal_of_no_width_shows_the_table() -> None:
    assert b"impressions of each text" in ran(*PLAN, COLUMNS="0").stdout


def test_ctrl_c_while_a_command_starts_is_one_line() -> None:
    stopping = (
        "import builtins, sys\nwhole = builtins.__import__\n"
        "def stop(name, *rest):\n"
        "    if name == 'typer':\n        raise KeyboardInterrupt\n"
        "    return whole(name, *rest)\n"
        "builtins.__import__ = stop\n" + START
    )
    done = subprocess.run([sys.executable, "-c", stopping], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_the_version_is_printed() -> None:
    from copyloom import __version__

    assert run("--version").stdout == f"{__version__}\n"


def test_paths_are_spelt_out_and_none_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"{tmp_path}/run" in fails("report", "~/run")
    assert str(tmp_path / "settings.yaml") in fails("simulate", "--config=~/settings.yaml")
    run("invert", "--text", "A quiet kettle.", "--out=~/e.safetensors", "--device", "cpu")
    assert (tmp_path / "e.safetensors").is_file()
    for command in (("invert", "--text", "a", "--out", ""), ("report", ""), ("quickstart", "--out="), ("decode", "")):
        assert "'' is no path" in fails(*command)
    assert "home folder that is not known" in fails("report", "~nobody-of-that-name/run")


def test_without_a_home_folder_the_models_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Path) -> Path:
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return path

    for name in ("COPYLOOM_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", unknown)
    assert "name a folder in COPYLOOM_MODELS" in fails("models", "list")
