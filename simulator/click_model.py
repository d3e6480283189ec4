"""The border at which a click model of one's own goes in: who would click on a text, without any draw."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from copyloom import InputError
from simulator.config import Part

_EXAMPLE = "shoppers.py:ShortTexts or package.module:ShortTexts"


class ClickModel(Protocol):
    """Who would click on a text: the same answer whenever it is asked, and whatever is asked beside it.

    It is made as ``Class(seed, **settings)``: the seed says which shoppers these are. It draws no clicks; a
    `SimulatedFeed` does, from random numbers of its own, and adds the effects of `ShopperConfig`. A model may also say
    ``drifts = False``, that its probabilities are the same in every snapshot, which saves asking again; and name its
    ``segments``.
    """

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the impressions of each of G segments, (G,), which sum to 1."""
        ...

    def segment_probabilities(self, texts: Sequence[str], snapshot: int = 0) -> NDArray[np.float64]:
        """Return the click probability of each of n texts in each segment in a snapshot, an array of shape (n, G)."""
        ...


class ClickModelConfig(Part):
    """A click model of one's own, in the place of drawn tastes.

    Parameters
    ----------
    model : str
        Its class, in a file or a module that Python finds from here: ``shoppers.py:ShortTexts``. Its code runs with
        your rights.
    settings : mapping
        What the class takes beside the seed, by name.
    readable : bool
        Whether a text that nobody can read loses clicks, as with drawn tastes.
    """

    model: str = Field(pattern=r"^.+:\w+$")
    settings: Mapping[str, Any] = {}
    readable: bool = True

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, given: Any) -> Any:
        return {"model": given} if isinstance(given, str) else given

    def made(self, seed: int) -> ClickModel:
        """Return the click model of a seed.

        Raises
        ------
        InputError
            If there is no such class, it cannot be made so, or lacks what a click model has.
        """
        return click_model(self.model, seed, self.settings)


@dataclass(frozen=True, eq=False)
class ReadableModel:
    """A click model whose texts lose clicks where nobody can read them.

    Parameters
    ----------
    model : ClickModel
    readable : callable
        Share of its clicks that each of n texts keeps, (n,).
    """

    model: ClickModel
    readable: Callable[[Sequence[str]], NDArray[np.float64]]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The model's."""
        return self.model.shares

    @property
    def drifts(self) -> bool:
        """Whether the model's probabilities may differ from snapshot to snapshot."""
        return bool(getattr(self.model, "drifts", True))

    @property
    def segments(self) -> tuple[str, ...]:
        """The model's names of segments."""
        return segment_names(self.model, len(self.shares))

    def segment_probabilities(self, texts: Sequence[str], snapshot: int = 0) -> NDArray[np.float64]:
        """Return the click probability of each text in each segment, an array of shape (n, G)."""
        return checked_probabilities(self.model, texts, snapshot) * self.readable(texts)[:, None]


def segment_names(model: object, count: int) -> tuple[str, ...]:
    """Return the names of a model's segments, where it names them; else numbered ones, `count` without a model."""
    if model is None:
        return tuple(f"segment {number + 1}" for number in range(count))
    many = len(checked_shares(model))  # type: ignore[arg-type]
    names = tuple(map(str, getattr(model, "segments", ()))) or segment_names(None, many)
    if len(set(names)) != many:
        raise InputError(f"{_name(model)} has {many} shares and names {names}; give each segment a name of its own")
    return names


def click_model(name: str, seed: int, settings: Mapping[str, Any] | None = None) -> ClickModel:
    """Return a click model by the name of its class.

    Parameters
    ----------
    name : str
        ``module:Class``, or ``file.py:Class``.
    seed : int
    settings : mapping, optional

    Raises
    ------
    InputError
        If there is no such class, it cannot be made so, or lacks what a click model has.
    """
    kind = _class(name)
    try:
        made = kind(seed, **(settings or {}))
    except Exception as error:
        raise InputError(
            f"{name} cannot be made as {_call(kind, settings)}: {type(error).__name__}: {error}"
        ) from error
    if missing := [part for part in ("shares", "segment_probabilities") if not hasattr(made, part)]:
        raise InputError(f"{name} has no {' and no '.join(missing)}; a click model has shares, the share of "
                         "impressions of each segment, and segment_probabilities(texts, snapshot)")  # fmt: skip
    checked_shares(made)
    found: ClickModel = made
    return found


def source_of(name: str) -> Path | None:
    """Return the file that holds the class of a click model; None where no file does.

    Raises
    ------
    InputError
        If there is no such class.
    """
    kind, place = _class(name), name.rpartition(":")[0]
    if place.endswith(".py"):
        return Path(place)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(file) if file else None


def checked_shares(model: ClickModel) -> NDArray[np.float64]:
    """Return the shares of a model's segments (G,), or raise `InputError` if they are none."""
    try:
        shares = np.asarray(model.shares, dtype=np.float64)
    except (TypeError, ValueError):
        shares = np.empty((0, 0))
    if shares.ndim != 1 or not len(shares) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise InputError(f"{_name(model)} has shares {model.shares!r}; give each segment one from 0; they sum to 1")
    return shares


def checked_probabilities(model: ClickModel, texts: Sequence[str], snapshot: int) -> NDArray[np.float64]:
    """Return a model's click probabilities (n, G), or raise `InputError` if they are none."""
    found = np.asarray(model.segment_probabilities(texts, snapshot))
    wanted = (len(texts), len(model.shares))
    if found.shape != wanted:
        raise InputError(f"{_name(model)}.segment_probabilities gave an array of shape {found.shape} for {len(texts)} "
                         f"texts and {len(model.shares)} segments; it must be {wanted}")  # fmt: skip
    if not np.issubdtype(found.dtype, np.number):
        raise InputError(f"{_name(model)}.segment_probabilities gave {found.dtype}; give numbers from 0 to 1")
    wrong = ~((found >= 0) & (found <= 1))
    if wrong.any():
        row = int(wrong.any(axis=1).argmax())
        raise InputError(f"{_name(model)}.segment_probabilities gave {found[row].tolist()} for {texts[row]!r} in "
                         f"snapshot {snapshot}; give numbers from 0 to 1")  # fmt: skip
    return found.astype(np.float64)


def _class(name: str) -> Any:
    place, _, called = name.rpartition(":")
    if not place or not called:
        raise InputError(f"{name!r} names no class; write it as {_EXAMPLE}")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found = getattr(module, called, None)
    if not isinstance(found, type):
        classes = [one for one, value in vars(module).items() if isinstance(value, type)]
        near = get_close_matches(called, classes, 4, cutoff=0)
        raise InputError(f"{place} has no class {called!r}; its classes are {', '.join(near) or 'none'}")
    return found


def _file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file {path} for a click model; write it as {_EXAMPLE}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _module(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise InputError(
            f"the module {name!r} cannot be imported from {here} ({why}); write it as {_EXAMPLE}"
        ) from error


def _name(model: object) -> str:
    return type(model).__name__


def _call(kind: type, settings: Mapping[str, Any] | None) -> str:
    given = "".join(f", {name}={value!r}" for name, value in (settings or {}).items())
    return f"{kind.__name__}(seed{given})"
