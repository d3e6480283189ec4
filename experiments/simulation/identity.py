"""What makes a study this one: its settings, and what the files that they name hold, wherever these lie."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from copyloom import InputError
from experiments.campaigns.given import Given
from experiments.campaigns.workshop import settled
from experiments.simulation.config import RunConfig
from simulator.click_model import source_of

FILES = "files"
_READ = ("texts", "own", "subject", "column")
"""Settings that say where texts are and how they are read: what they are is part of the identity itself."""
_WORLD = ("archive", "ratings", "items")


def identity(config: RunConfig, given: Given) -> str:
    """Return what makes a study this one, as a text; `known_as` says when two texts mean the same."""
    found: dict[str, Any] = {
        "config": _settings(config),
        FILES: contents(config),
        "subject": given.subject and given.subject.model_dump(),
        "texts": given.texts,
        "own": given.own if config.own else None,
    }
    if given.past:
        found["past"] = given.past
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def contents(config: RunConfig) -> dict[str, str]:
    """Return a hash of what each file that shoppers come from holds, by the setting that names it.

    Those of a click model are its own source and the files that its settings name, not what these in turn read.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    found = {f"world.{name}": content_of(path) for name in _WORLD if (path := getattr(config.world, name, None))}
    if (own := config.click_model) is not None:
        source, name = source_of(own.model), own.model.rpartition(":")[2]
        found |= {} if source is None else {"click_model.model": f"{content_of(source)} {name}"}
        found |= {f"click_model.settings.{key}": content_of(Path(value)) for key, value in own.settings.items()
                  if isinstance(value, str) and os.path.isfile(value)}  # fmt: skip
    return found


def content_of(path: Path) -> str:
    """Return a hash of what a file holds.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a file") from error


def known_as(config: RunConfig, given: Given, known: str | None) -> str:
    """Return the identity of a study: the known one, where both mean the same.

    Paths say nothing, what files hold does. Settings count as they are settled, and so do those of the run's own file;
    settings that are newer than a run are no others if they are as usual. In older runs, paths stand for files.
    """
    resolved = identity(settled(config, given), given)
    if known is None:
        return resolved
    try:
        old = json.loads(known)
        old["config"] = _settings(RunConfig.checked(**old["config"]))
    except (ValueError, KeyError, TypeError, InputError):  # of an older Copyloom
        return resolved
    mine = [json.loads(one) for one in (resolved, identity(config, given))]
    if FILES not in old:
        mine = [{name: said for name, said in one.items() if name != FILES} for one in mine]
    else:
        old, mine = _placeless(old), list(map(_placeless, mine))
    return known if old in mine else resolved


def _settings(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"reading"})


def _placeless(known: dict[str, Any]) -> dict[str, Any]:
    """Return an identity without the places of what it holds."""
    places = [*_READ, *known[FILES], *(["prior.text_prior.past"] if "past" in known else [])]
    config = known["config"]
    for place in places:
        config = _without(config, place.split(".", 2))
    return {**known, "config": config}


def _without(tree: dict[str, Any], place: list[str]) -> dict[str, Any]:
    first, *rest = place
    return {name: _without(value, rest) if name == first else value
            for name, value in tree.items() if name != first or rest}  # fmt: skip
