"""A study that is killed outright goes on and ends as if nothing had happened."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from experiments.commands.cli import app; app()", "simulate", "--config"]
SMALL: dict[str, Any] = {
    "seeds": 1, "rounds": 6, "impressions": 400, "device": "cpu",
    "proposer": {"every": 2, "until": 1.0, "shortlist": 3, "admit": 2, "warm_up": 40},
}  # fmt: skip


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    whole, broken, settings = tmp_path / "whole", tmp_path / "broken", tmp_path / "run.yaml"
    settings.write_text(json.dumps(SMALL))
    command = [*COMMAND, str(settings), "--out"]
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(broken)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("showing texts to shoppers"):
            time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    assert not (broken / "summary.json").exists()
    subprocess.run([*command, str(broken)], check=True, capture_output=True)
    results = [json.loads((folder / "summary.json").read_text()) for folder in (whole, broken)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
