"""Where computation runs: cpu, cuda, mps or neuron, and why."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from copyloom import DeviceError

# Asks Intel's MKL, before its first product, that no row of a product depends on the rows beside it. Otherwise, on some
# CPUs (an AMD EPYC with two threads), a decoded text's last digits depend on its place in the batch. No cost was seen.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


@dataclass(frozen=True)
class Device:
    """A device that is there, with the reason for which it was chosen.

    Parameters
    ----------
    type : str
        ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"neuron"``. Neuron has not been run on Trainium hardware yet.
    reason : str
        In words, for ``copyloom doctor`` and the report.
    decode_rows : int
        Rows with which decoding begins; constant, so that a text never depends on the texts beside it.
    number : int, optional
        Which one, where there are several.
    """

    type: str
    reason: str
    decode_rows: int
    number: int | None = None

    @classmethod
    def choose(cls, name: str = "auto") -> Device:
        """Return the device called `name`, or with ``"auto"`` the fastest that is there.

        Raises
        ------
        DeviceError
            If `name` is unknown or that device is not there.

        Examples
        --------
        >>> Device.choose("cpu").reason
        'asked for'
        """
        if name == "auto":
            found = next(kind for kind, there in _AVAILABLE.items() if there())
            missing = [kind for kind in _AVAILABLE if kind not in (found, "cpu")]
            return cls(found, f"fastest one found (looked for {', '.join([found, *missing])})", _ROWS[found])
        kind, _, number = name.partition(":")
        if kind not in _AVAILABLE or (name != kind and not number.isdecimal()):
            raise DeviceError(
                f"device {name!r} is unknown; use auto, {', '.join(_AVAILABLE)}, or one of several as cuda:1"
            )
        if not _AVAILABLE[kind]():
            there = [kind for kind, is_there in _AVAILABLE.items() if is_there()]
            raise DeviceError(f"device {name!r} is not there; this machine has {', '.join(there)}")
        return cls(kind, "asked for", _ROWS[kind], int(number) if number else None)

    def matmul_rate(self, dtype: torch.dtype) -> float:
        """Return how many floating-point operations a second a product of 2048 x 1024 by 1024 x 1024 makes.

        Measured over 50 to 100 ms, after a warm-up.
        """
        left, right = (torch.rand(rows, 1024, device=self.torch).to(dtype) for rows in (2048, 1024))
        _seconds(left, right, 1)
        products = 1
        while (seconds := _seconds(left, right, products)) < 0.05:
            products *= 2
        return products * 2 * left.numel() * right.shape[1] / seconds

    def check_compiles(self) -> None:
        """Raise `DeviceError` unless `torch.compile` works, which needs a C++ compiler on CPUs; tried in seconds."""
        try:
            torch.compile(lambda values: values + 1)(torch.zeros(2, device=self.torch))
        except Exception as error:  # of torch, of a compiler or of what it lacks: all mean the same
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise DeviceError(
                f"nothing can be compiled for {self.type} here ({first}); install a C++ compiler such as g++, name one "
                "in CXX, or leave --compile out: it only saves time"
            ) from error

    @property
    def has_bfloat16(self) -> bool:
        """Whether it has units that multiply matrices in bfloat16, several times faster than in float32."""
        if self.type == "cpu":
            known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
            return bool(known.get("amx_bf16"))
        return self.type == "neuron" or (self.type == "cuda" and torch.cuda.is_bf16_supported(False))

    @property
    def torch(self) -> torch.device:
        """The device as torch knows it."""
        return torch.device(self.type) if self.number is None else torch.device(self.type, self.number)

    @property
    def compiles_shapes(self) -> bool:
        """Whether each new shape of a tensor costs a compilation, so that loops must keep to one."""
        return self.type in ("neuron", "mps")


def _seconds(left: torch.Tensor, right: torch.Tensor, products: int) -> float:
    started_at = time.perf_counter()
    product = left
    for _ in range(products):
        product = left @ right
    float(product[0, 0])  # waits for the device
    return time.perf_counter() - started_at


def _neuron() -> bool:
    """Say whether TorchNeuron's native device is there; the package loads itself into torch."""
    return hasattr(torch, "neuron") and bool(torch.neuron.is_available())


_AVAILABLE: dict[str, Callable[[], bool]] = {
    "neuron": _neuron,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}
_ROWS = {"neuron": 64, "cuda": 512, "mps": 64, "cpu": 128}
