"""Copyloom's version and the root of its errors: the one module that every package may import."""

__version__ = "0.1.0"


class CopyloomError(Exception):
    """Any error raised on purpose; its message says what was given, what is allowed, what to do."""


class InputError(CopyloomError):
    """A text, file, option or array that cannot be used as given."""


class SpaceError(CopyloomError):
    """Embeddings, models or databases that do not belong together."""


class DeviceError(CopyloomError):
    """A device that was asked for and is not there."""
