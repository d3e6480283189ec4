"""What this machine offers, for ``copyloom doctor``."""

from __future__ import annotations

from collections.abc import Iterator

from copyloom import CopyloomError
from experiments.versions import packages
from generator.threads import processors, waiting

Facts = dict[str, str | dict[str, str]]
"""What was found, by name, in words."""
UNUSABLE = "cannot be used"


def examine(model: str, device: str, database: str | None, trust_remote_code: bool = False) -> Iterator[Facts]:
    """Yield what is known at once, then what torch must be asked for; what is wrong with a thing is its value.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    yield {
        "versions": packages(),
        "neuron": "untested: the code takes the device if it is there, but never ran on Trainium hardware",
    }
    import torch

    from generator.device import Device

    chosen = Device.choose(device)
    yield {
        "device": f"{chosen.type}: {chosen.reason}",
        "threads": f"{torch.get_num_threads()} on {processors()} processors; they wait: {waiting()}",
        "model": _model(model, device, trust_remote_code),
        "database": _database(database),
        **_slots(database, device, trust_remote_code),
    }


def _model(name: str, device: str, trust_remote_code: bool) -> str:
    from embeddings.space import Space

    try:
        space = Space.load(name, device, trust_remote_code=trust_remote_code)
    except CopyloomError as error:
        return f"{UNUSABLE}: {error}"
    parameters = sum(p.numel() for p in space.model.model.parameters())
    adapter = "with an adapter" if space.adapter else "without an adapter: start from the token mean"
    return f"{space.identity}, {parameters:,} parameters, {adapter}"


def _slots(path: str | None, device: str, trust_remote_code: bool) -> Facts:
    """Return what can be said of a storefront's slots: whether each can be read, and what writes for it be loaded."""
    from sqlalchemy import inspect

    from embeddings.database import open_database

    try:
        engine = open_database(path, create=False) if path else None
    except CopyloomError:  # the database says so
        return {}
    if engine is None or not inspect(engine).has_table("slots"):
        return {}
    from experiments.storefront.slots import Slots

    slots = Slots(engine)
    models = {name: _model(name, device, trust_remote_code) for name in {slot.config.model for slot in slots.all()}}
    found = {slot.campaign: f"written by {slot.config.model}: {models[slot.config.model]}" for slot in slots.all()}
    found |= {"/".join(name): f"cannot be read: {why}" for name, why in slots.unreadable.items()}
    engine.dispose()
    return {"slots": found} if found else {}


def _database(path: str | None) -> str:
    from sqlalchemy import func, select

    from embeddings.database import REVISION, EmbeddingRow, TextRow, open_database, reading, shown

    if path is None:
        return f"SQLite, schema version {REVISION}; look at one with --database runs/quickstart/study.sqlite"
    try:
        engine = open_database(path, create=False)
        with reading(engine) as connection:
            texts = connection.scalar(select(func.count()).select_from(TextRow))
            embeddings = connection.scalar(select(func.count()).select_from(EmbeddingRow))
    except CopyloomError as error:
        return f"{UNUSABLE}: {error}"
    return f"{shown(engine)}: schema version {REVISION}, {texts} texts, {embeddings} embeddings"
