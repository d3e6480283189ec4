"""Runs and studies in MLflow or TensorBoard, where somebody asks for it: settings, numbers by snapshot, report."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from copyloom import InputError
from experiments.nested import flat

_BRINGS = {"mlflow": "mlflow", "tensorboard": "tensorboardX"}
"""The module that each needs; the extra has the tracker's name."""
_EXPERIMENT, _FOLDER = "copyloom", "runs/tensorboard"
_LONGEST = 500
"""Letters of a setting that MLflow takes."""


@dataclass(frozen=True)
class Record:
    """A run as it is tracked.

    Parameters
    ----------
    run : str
        Its name.
    settings : mapping
        Nested ones are named ``outer.inner``.
    numbers : mapping of str to float
        What the run came to.
    series : mapping of str to sequence of float
        What each snapshot has, from the first.
    files : sequence of Path
        Kept with it, where the tracker keeps files.
    """

    run: str
    settings: Mapping[str, Any]
    numbers: Mapping[str, float]
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    files: Sequence[Path] = ()

    @property
    def points(self) -> list[tuple[str, float, int]]:
        """All numbers with their snapshots; 0 for what the run came to."""
        found = [(name, value, step) for name, values in self.series.items() for step, value in enumerate(values)]
        return found + [(name, value, 0) for name, value in self.numbers.items()]


@dataclass(frozen=True)
class Tracker:
    """Where a run is tracked.

    Parameters
    ----------
    name : {"mlflow", "tensorboard"}
    place : str
        Address of an MLflow server or store, or folder of TensorBoard's events; empty for the usual one.
    """

    name: str
    place: str = ""

    @classmethod
    def of(cls, spec: str) -> Tracker:
        """Return the tracker that is written ``mlflow``, ``mlflow:URI``, ``tensorboard`` or ``tensorboard:FOLDER``.

        Raises
        ------
        InputError
            If there is no such tracker, or what it needs is not installed.
        """
        name, _, place = spec.partition(":")
        if name not in _BRINGS:
            raise InputError(f"--track {spec!r} is no tracker; give mlflow, mlflow:URI, tensorboard or "
                             "tensorboard:FOLDER")  # fmt: skip
        try:
            import_module(_BRINGS[name])
        except ImportError as error:
            raise InputError(
                f"--track {name} needs {error.name}; install it with: pip install 'copyloom[{name}]'"
            ) from None
        return cls(name, place)

    def track(self, record: Record) -> str:
        """Record a run as a new one, and return where.

        Raises
        ------
        InputError
            If it cannot be reached or written.
        """
        to = _to_mlflow if self.name == "mlflow" else _to_tensorboard
        try:
            with redirect_stdout(sys.stderr):  # a server's client prints where the run can be seen
                return to(self.place, record)
        except Exception as error:  # of the tracker's own kinds
            place = f"{self.name}:{self.place}" if self.place else self.name
            raise InputError(f"all is finished and written, but --track {place} failed ({error}); mend that, and give "
                             "the command again") from error  # fmt: skip


def _to_mlflow(uri: str, record: Record) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(uri or None)
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    number = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
    run = client.create_run(number, run_name=record.run).info.run_id
    now = int(1000 * time.time())
    params = [Param(_named(name), str(value)[:_LONGEST]) for name, value in flat(record.settings)]
    metrics = [Metric(_named(name), value, now, step) for name, value, step in record.points]
    for first in range(0, len(params), 100):  # the most that a server takes at a time
        client.log_batch(run, params=params[first : first + 100])
    for first in range(0, len(metrics), 1000):
        client.log_batch(run, metrics=metrics[first : first + 1000])
    for file in record.files:
        client.log_artifact(run, str(file))
    client.set_terminated(run)
    return f"{client.tracking_uri}, experiment {_EXPERIMENT}, run {run}"


def _to_tensorboard(place: str, record: Record) -> str:
    from tensorboardX import SummaryWriter

    folder, again = Path(place or _FOLDER, record.run), 1
    while folder.exists():  # events of two runs in one folder would be drawn as one
        again += 1
        folder = folder.with_name(f"{Path(record.run).name} {again}")
    with SummaryWriter(str(folder)) as writer:
        rows = "\n".join(f"| {name} | {value} |" for name, value in flat(record.settings))
        writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}")
        for name, value, step in record.points:
            writer.add_scalar(_named(name), value, step)
        for file in record.files:
            writer.add_text(f"file {file.name}", str(file.resolve()))
    return str(folder)


def _named(name: str) -> str:
    """Return a name with the letters that both take."""
    return re.sub(r"[^\w./-]+", "_", name)
