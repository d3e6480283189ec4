"""Beliefs on disk: one versioned file per state, whole or not there at all, and the same to the last bit when read."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bandits.posterior import Posterior
from copyloom import InputError

#: What JSON can say without loss: text, whole numbers, finite floats, booleans, None, and lists and objects of them.
JSON: TypeAlias = Any

_HEADER = "copyloom"  # one metadata entry, as safetensors writes several in no fixed order
_POSTERIOR = ("posterior", 1)
_PARTS = ("design", "present", "coefficients", "text_effects", "precision_cholesky", "openness")


def save_state(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    tensors: Mapping[str, Tensor],
    settings: Mapping[str, JSON],
) -> None:
    """Write a state as one safetensors file; the same state gives the same bytes.

    What was at `path` stays there, whole, until the new file is on the disk, whole; then one rename puts it in
    place. A process killed before that leaves a hidden `.NAME.*.partial` beside it, which may be deleted.

    Parameters
    ----------
    path : path
        In a folder that exists.
    kind, version : str, int
        What the file holds and in which layout: `load_state` refuses any other. Raise the version whenever
        tensors or settings change their meaning.
    tensors : mapping of str to Tensor
        Of any type, shape and device.
    settings : mapping of str to JSON
        Everything else. Floats come back to the last bit.

    Raises
    ------
    InputError
        If a setting is no JSON (NaN and infinity are none) or the file cannot be written.
    """
    path = Path(path)
    try:
        header = {"kind": kind, "version": version, "settings": json.loads(json.dumps(dict(settings), allow_nan=False))}
    except (TypeError, ValueError) as error:
        raise InputError(f"settings of {kind} cannot be written as JSON ({error}); put arrays in tensors") from error
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    header |= {"sha256": _digest(plain, header)}
    _replace(path, save(plain, {_HEADER: json.dumps(header)}))


def load_state(path: str | os.PathLike[str], kind: str, version: int) -> tuple[dict[str, Tensor], dict[str, JSON]]:
    """Read what `save_state` wrote: tensors (on the CPU) and settings, bit for bit.

    Parameters
    ----------
    path : path
    kind, version : str, int
        What the file must hold.

    Returns
    -------
    tensors : dict of str to Tensor
    settings : dict of str to JSON

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or is of another kind or version.
    """
    try:
        data = Path(path).read_bytes()
        tensors = load(data)
        header = json.loads(_metadata(data)[_HEADER])
        found, settings = (header["kind"], header["version"]), header["settings"]
        if header.pop("sha256") != _digest(tensors, header):
            raise ValueError("its checksum is another")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); pass a file that was saved before") from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged or was not saved by Copyloom ({error}); restore it or start anew"
        ) from error
    if found != (kind, version):
        raise InputError(
            f"{path} holds {found[0]!r} version {found[1]}, not {kind!r} version {version}; pass a file of that kind "
            "and version, or start anew and learn from the ledger again"
        )
    return tensors, settings


def save_posterior(path: str | os.PathLike[str], posterior: Posterior) -> None:
    """Write a posterior to one file, as `save_state` does.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> from bandits import LogisticRewardModel, RewardPrior
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(2), [900, 900], [18, 30])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_posterior(f"{folder}/belief.safetensors", posterior)
    ...     again = load_posterior(f"{folder}/belief.safetensors")
    >>> torch.equal(again.mean, posterior.mean)
    True
    """
    tensors = {name: getattr(posterior, name) for name in _PARTS}
    variance = torch.as_tensor(posterior.text_effect_variance, dtype=torch.float64)
    save_state(path, *_POSTERIOR, {**tensors, "text_effect_variance": variance}, {})


def load_posterior(path: str | os.PathLike[str]) -> Posterior:
    """Read what `save_posterior` wrote; whatever it says or draws, it says and draws as before, bit for bit.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or holds something else.
    """
    tensors, _ = load_state(path, *_POSTERIOR)
    variance = tensors.pop("text_effect_variance")
    return Posterior(**tensors, text_effect_variance=variance if variance.ndim else variance.item())


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, JSON]) -> str:
    """Checksum of all that a file holds."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + save(dict(tensors))).hexdigest()


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: its first 8 bytes give the length of the JSON that follows."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]


def _replace(path: Path, data: bytes) -> None:
    """Put a new file in place: written beside it, on the disk, then renamed."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place or free space") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where folders can be opened at all (not on Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
