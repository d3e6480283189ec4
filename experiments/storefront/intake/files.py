"""Lines of files: JSON lines (plain, gzip, standard input) and Parquet.

A file is read from its start each time: what is on record already is absorbed, and counted as that.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from copyloom import InputError, Report
from experiments.storefront.intake.feeding import MANY, Line
from experiments.storefront.intake.lines import MAX_LINE_BYTES, Taken
from experiments.storefront.schemas import DecideLine, ExposeLine, RewardLine

STANDARD_INPUT = "-"
_COLUMNS = {name for model in (DecideLine, ExposeLine, RewardLine) for name in model.model_fields}
_TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".ods")
_GZIP, _PARQUET, _UTF8_MARK = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"


class Files:
    """Lines of some files, one after another.

    Parameters
    ----------
    names : sequence of str
        Paths; ``-`` is standard input.
    report : callable
        Hears how much of a file was read.
    rejects : Path, optional
        Where refused lines are kept: a JSON object each, with source, line, problem and the line as it was given.
    answers : Path, optional
        Where the texts are written that events are given: a JSON object each.

    Raises
    ------
    InputError
        If a file is not there.
    """

    def __init__(
        self, names: Sequence[str], report: Report, rejects: Path | None = None, answers: Path | None = None
    ) -> None:
        self.names, self.report = list(names), report
        paths = {Path(name).resolve() for name in names if name != STANDARD_INPUT}
        for path in paths:
            if not path.is_file():
                raise InputError(f"there is no file {str(path)!r}; give JSON lines, also .gz, or Parquet")
            if Path(path.name.lower().removesuffix(".gz")).suffix in _TABLES:
                raise InputError(f"{str(path)!r} is a table; give JSON lines (an object a line), also .gz, or Parquet")
        if both := paths & {path.resolve() for path in (rejects, answers) if path is not None}:
            raise InputError(f"{str(both.pop())!r} is to be read and to be written; give another name for one of them")
        self._ends = ExitStack()
        self._rejects, self._answers = self._written(rejects), self._written(answers)

    def batches(self) -> Iterator[Sequence[Line]]:
        """Yield the lines of all files."""
        for name in self.names:
            with ExitStack() as ends:
                found = self._lines(name, ends)
                while lines := list(islice(found, MANY)):
                    yield lines

    def settle(self, lines: Sequence[Line], taken: Sequence[Taken]) -> None:
        """Keep what was refused, and what was decided."""
        for line, one in zip(lines, taken, strict=True):
            if self._rejects and one.state == "refused":
                source, _, number = line.where.rpartition(":")
                given = line.body.decode("utf-8", "replace")
                _put(self._rejects, {"source": source, "line": int(number), "problem": one.why, "given": given})
            if self._answers and one.decision is not None:
                _put(self._answers, one.decision.model_dump())

    def close(self) -> None:
        """Close what was written."""
        self._ends.close()

    def _written(self, path: Path | None) -> IO[str] | None:
        return None if path is None else self._ends.enter_context(path.open("w", encoding="utf-8"))

    def _lines(self, name: str, ends: ExitStack) -> Iterator[Line]:
        raw: Any = sys.stdin.buffer if name == STANDARD_INPUT else ends.enter_context(open(name, "rb"))  # noqa: SIM115
        raw = raw if hasattr(raw, "peek") else io.BufferedReader(raw)
        size = 0 if name == STANDARD_INPUT else Path(name).stat().st_size
        start = raw.peek(4)[:4]
        if start == _PARQUET:
            if name == STANDARD_INPUT:
                raise InputError("standard input is Parquet, which is read from its end; give it as a file")
            yield from self._rows(name)
            return
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{name!r} is UTF-16; write it in UTF-8: iconv -f UTF-16 -t UTF-8")
        if start.removeprefix(_UTF8_MARK)[:1] == b"[":
            raise InputError(f"{name!r} is a JSON list; write an object a line: jq -c '.[]'")
        text = gzip.GzipFile(fileobj=raw) if start[:2] == _GZIP else raw
        number = 0
        try:
            while line := text.readline(MAX_LINE_BYTES + 1):
                number += 1
                if number % MANY == 0:
                    self._tell(name, raw.tell() if size else 0, size)
                rest = line
                while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = text.readline(MAX_LINE_BYTES + 1)
                if line := line.removeprefix(_UTF8_MARK if number == 1 else b"").strip():
                    yield Line(f"{name}:{number}", line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{name!r} cannot be unpacked after line {number:,} ({error}); what came before is on record: mend the "
                "file and give it again"
            ) from None
        self._tell(name, size, size)

    def _rows(self, name: str) -> Iterator[Line]:
        try:
            file = pq.ParquetFile(name)
        except pa.ArrowException as error:
            raise InputError(f"{name!r} cannot be read as Parquet ({error}); write it anew") from None
        names, total = set(file.schema_arrow.names), file.metadata.num_rows
        if "type" not in names or names - _COLUMNS:
            raise InputError(
                f"{name!r} has the columns {', '.join(sorted(names))}; those of events are type, which must be there, "
                f"and {', '.join(sorted(_COLUMNS - {'type'}))}"
            )
        number = 0
        for batch in file.iter_batches(MANY):
            for row in batch.to_pylist():
                number += 1
                yield Line(f"{name}:{number}", _as_line(row))
            self._tell(name, number, total)

    def _tell(self, name: str, done: int, total: int) -> None:
        if total:
            self.report(f"{Path(name).name}, per cent", 100 * done // total, 100)


def _as_line(row: dict[str, Any]) -> bytes:
    """Return a row as the line that it is; what is null was not given. A context may be JSON."""
    given = {name: value for name, value in row.items() if value is not None}
    if isinstance(context := given.get("context"), str):
        with suppress(ValueError):  # said when the line is read
            given["context"] = json.loads(context)
    return json.dumps(given, default=_as_json, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _as_json(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else str(value)


def _put(file: IO[str], found: dict[str, Any]) -> None:
    file.write(json.dumps(found, ensure_ascii=False) + "\n")
