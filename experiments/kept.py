"""What a study works out once: kept on disk, so that a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from copyloom import InputError
from embeddings.folders import replacing


def kept(file: Path, make: Callable[[], Any]) -> Any:
    """Return what a file keeps as JSON; where there is none, make it and keep it.

    Raises
    ------
    InputError
        If the file holds something else.
    """
    if not file.exists():
        made = make()
        with replacing(file) as partial:
            partial.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} holds no JSON ({error}); remove it, and what it held is worked out anew") from error
