"""A study that is killed outright goes on and ends as if nothing had happened."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from experiments.commands.cli import app; app()", "quickstart",
           "--model", "copyloom-tiny", "--device", "cpu",
           "--seeds", "2", "--rounds", "8", "--out"]  # fmt: skip


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*COMMAND, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*COMMAND, str(broken)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("showing texts to shoppers"):
            time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    assert not (broken / "summary.json").exists()
    subprocess.run([*COMMAND, str(broken)], check=True, capture_output=True)
    results = [json.loads((folder / "summary.json").read_text()) for folder in (whole, broken)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
