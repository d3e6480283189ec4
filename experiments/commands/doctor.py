"""What this machine offers, for ``copyloom doctor``."""

from __future__ import annotations

from typing import Any

import torch
from sqlalchemy import func, select

from copyloom import CopyloomError
from embeddings.database import REVISION, EmbeddingRow, TextRow, open_database, reading, shown
from embeddings.space import Space
from experiments.versions import versions
from generator.device import Device
from generator.threads import processors, waiting


def examine(model: str, device: str, database: str | None, trust_remote_code: bool = False) -> dict[str, Any]:
    """Return device and reason, versions, model and database, in words; what is wrong with one is its value.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    chosen = Device.choose(device)
    found: dict[str, Any] = {"device": f"{chosen.type}: {chosen.reason}", "versions": versions()}
    found["threads"] = f"{torch.get_num_threads()} on {processors()} processors; they wait: {waiting()}"
    found["neuron"] = "untested: the code takes the device if it is there, but never ran on Trainium hardware"
    try:
        space = Space.load(model, device, trust_remote_code=trust_remote_code)
        parameters = sum(p.numel() for p in space.model.model.parameters())
        adapter = "with an adapter" if space.adapter else "without an adapter: start from the token mean"
        found["model"] = f"{space.identity}, {parameters:,} parameters, {adapter}"
    except CopyloomError as error:
        found["model"] = f"cannot be used: {error}"
    found["database"] = _database(database)
    return found


def _database(path: str | None) -> str:
    if path is None:
        return f"SQLite, schema version {REVISION}; look at one with --database runs/quickstart/study.sqlite"
    try:
        engine = open_database(path, create=False)
        with reading(engine) as connection:
            texts = connection.scalar(select(func.count()).select_from(TextRow))
            embeddings = connection.scalar(select(func.count()).select_from(EmbeddingRow))
    except CopyloomError as error:
        return f"cannot be used: {error}"
    return f"{shown(engine)}: schema version {REVISION}, {texts} texts, {embeddings} embeddings"
