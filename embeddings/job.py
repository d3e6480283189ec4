"""Inverting any number of texts: in shards that any launcher can drive, stored as they come, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from filelock import FileLock

from copyloom import InputError, SpaceError
from embeddings.exchange import read_file, write_file
from embeddings.folders import held, replacing
from embeddings.inversion import Refused, resolve_precision
from embeddings.inversion_config import InversionConfig
from embeddings.inverting import stream
from embeddings.space import Space
from embeddings.starts import check_start
from embeddings.summary import SpaceIdentity, SummaryEmbedding, difference

PART = "copyloom part 1"
_FORMAT = "copyloom job 1"
_PART_ROWS = 128
_PART_SECONDS = 10.0
_COMMAND = "copyloom invert --run"
_log = logging.getLogger(__name__)

Keep = Callable[[Sequence[SummaryEmbedding]], object]
"""Called with embeddings once they are stored; a pool's `add`, say."""


@dataclass(frozen=True)
class Shard:
    """The texts whose number leaves the remainder `index` when divided by `count`."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``"i/n"`` names, i from 0 to n - 1.

        Raises
        ------
        InputError
            If it names none.

        Examples
        --------
        >>> Shard.parse("0/4")
        Shard(index=0, count=4)
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if shard.index >= shard.count:
            raise InputError(f"shard {text!r} is none; write i/n with i from 0 to n - 1: 0/4, 1/4, 2/4 and 3/4")
        return shard

    def __str__(self) -> str:
        """Return the name of its folder."""
        return f"shard-{self.index}-of-{self.count}"


@dataclass(frozen=True)
class ShardReport:
    """What a finished shard holds.

    Parameters
    ----------
    texts : int
        In the whole source.
    source : str
        Hash of the whole source.
    finished, exact : int
        Embeddings of this shard, and how many of them are exact.
    resumed : int
        Those that an earlier run had finished.
    refused : list of Refused
        Texts that cannot be inverted.
    seconds : float
        Of the last run.
    precision : str
        In which its worker's model computed.
    """

    texts: int
    source: str
    finished: int
    exact: int
    resumed: int
    refused: list[Refused]
    seconds: float
    precision: str


def run_shard(
    space: Space,
    texts: Iterable[str],
    folder: Path,
    config: InversionConfig | None = None,
    shard: Shard = Shard(),
    heard: Callable[[int], None] = lambda finished: None,
    keep: Keep | None = None,
) -> ShardReport:
    """Invert a shard of `texts` into `folder`, going on where an earlier run of it stopped.

    Finished texts lie in parts of at most 128, each there as a whole or not at all; a worker that is killed loses the
    few hundred texts that it had in hand. A part that is damaged is set aside and its texts are done again.

    Parameters
    ----------
    space : Space
    texts : iterable of str
        The whole source, the same for all shards.
    folder : Path
        Of the job; all shards share it.
    config : InversionConfig, optional
    shard : Shard
    heard : callable
        Called with the number of texts of this shard that are finished.
    keep : callable, optional
        Called with the embeddings of each part once it is stored, those of earlier runs too.

    Raises
    ------
    InputError
        If the job was begun with other texts or settings, another worker is at this shard, or nothing can be written.
    SpaceError
        If the job was begun in another space.
    """
    began = time.perf_counter()
    config = config or space.default_inversion
    check_start(space, config)
    place = folder / str(shard)
    with held(place, "worker", "--shard"):
        _check_job(folder, space.identity, config, shard)
        writer = _Parts(place, keep)
        refused, ended = _finished(place)
        known = writer.stored | {row.index: _hash(row.text) for row in refused}
        source = _Source(texts, shard, known, ended)
        resumed, exact = writer.count, writer.exact
        config = resolve_precision(space.model, config)
        heard(resumed)
        try:
            for number, result in stream(space, source, config):
                actual = source.numbers.pop(number)
                if isinstance(result, Refused):
                    refused.append(Refused(actual, result.text, result.reason))
                    continue
                writer.add(actual, result)
                exact += result.exact
                heard(writer.count)
        finally:
            writer.flush()
        wanted = len(range(shard.index, source.count, shard.count))
        if writer.count + len(refused) != wanted:
            raise InputError(
                f"{place} holds {writer.count + len(refused)} texts, the source {wanted}; "
                "give the texts that this job began with, or a new folder"
            )
        report = ShardReport(
            source.count, source.digest.hexdigest(), writer.count, exact, resumed, refused,
            time.perf_counter() - began, config.precision,
        )  # fmt: skip
        _write_json(place / "done.json", asdict(report))
    return report


def merge(folder: Path) -> Iterator[tuple[int, SummaryEmbedding | Refused]]:
    """Yield (number, embedding) of every text of a finished job, and what was refused, in the order of the source.

    Raises
    ------
    InputError
        If a shard is missing or unfinished, shards saw different texts, or a text is lost or doubled.
    """
    job = _job(folder)
    shards = [Shard(index, job["shards"]) for index in range(job["shards"])]
    unfinished = [str(shard) for shard in shards if not (folder / str(shard) / "done.json").is_file()]
    if unfinished:
        raise InputError(f"{', '.join(unfinished)} of the job in {folder} is not finished; start that worker again")
    reports = [_read_json(folder / str(shard) / "done.json", folder) for shard in shards]
    if len({(report["source"], report["texts"]) for report in reports}) > 1:
        raise InputError(f"the shards in {folder} saw different texts; run them again in a new folder with one file")
    places: dict[int, tuple[Path, int] | Refused] = {}
    for shard, report in zip(shards, reports, strict=True):
        for number, place in _places(folder / str(shard), report["refused"]):
            if number in places:
                raise InputError(f"text {number + 1} is there twice in {folder}; run the job again in a new folder")
            places[number] = place
    if len(places) != reports[0]["texts"]:
        raise InputError(f"{reports[0]['texts'] - len(places)} texts are missing in {folder}; start the workers again")
    yield from _in_order(places, 8 * len(shards))


def _places(place: Path, refused: Sequence[dict[str, Any]]) -> Iterator[tuple[int, tuple[Path, int] | Refused]]:
    """Yield the number of each text of a shard, and its part and row there, or why it was refused."""
    for path, numbers, _ in stored_parts(place):
        yield from ((number, (path, row)) for row, number in enumerate(numbers))
    yield from ((row["index"], Refused(**row)) for row in refused)


def _in_order(
    places: dict[int, tuple[Path, int] | Refused], parts: int
) -> Iterator[tuple[int, SummaryEmbedding | Refused]]:
    """Yield what lies at `places` by number, with `parts` in memory: texts finish nearly in order."""
    read = lru_cache(maxsize=parts)(lambda path: read_file(path, PART, _COMMAND)[0])
    for number, place in sorted(places.items(), key=itemgetter(0)):
        yield number, place if isinstance(place, Refused) else read(place[0])[place[1]]


class _Source:
    """The texts of a shard that are not stored yet, numbered anew; counts and hashes the whole source on its way."""

    def __init__(self, texts: Iterable[str], shard: Shard, stored: dict[int, str], ended: int | None) -> None:
        self.numbers: dict[int, int] = {}
        self.count, self.digest = 0, hashlib.sha256()
        self._texts, self._shard, self._stored, self._ended = texts, shard, stored, ended

    def __iter__(self) -> Iterator[str]:
        passed = 0
        for number, text in enumerate(self._texts):
            if self._ended is not None and number >= self._ended:
                raise InputError("the shard was finished with fewer texts; give the same texts, or a new folder")
            hashed = _hash(text)
            self.count = number + 1
            self.digest.update(hashed.encode())
            if number % self._shard.count != self._shard.index:
                continue
            if number in self._stored:
                if self._stored[number] != hashed:
                    raise InputError(
                        f"text {number + 1} ({text[:30]!r}) is not the one that this job began with; "
                        "give the same texts, or a new folder"
                    )
                continue
            self.numbers[passed] = number
            passed += 1
            yield text


class _Parts:
    """The parts of a shard: what earlier runs stored, and where new embeddings gather until they make a part."""

    def __init__(self, place: Path, keep: Keep | None) -> None:
        self.stored: dict[int, str] = {}  # number and hash of each text of earlier runs
        self.count, self.exact = 0, 0
        self._place, self._keep = place, keep
        self._waiting: list[tuple[int, SummaryEmbedding]] = []
        self._next, self._flushed_at = len(list(place.glob("part-*"))), time.perf_counter()
        for path, numbers, embeddings in stored_parts(place):
            self._next = max(self._next, int(path.stem.removeprefix("part-")) + 1)
            self.stored |= {n: _hash(e.text) for n, e in zip(numbers, embeddings, strict=True)}
            self.count += len(embeddings)
            self.exact += sum(embedding.exact for embedding in embeddings)
            if keep is not None:
                keep(embeddings)

    def add(self, number: int, embedding: SummaryEmbedding) -> None:
        self._waiting.append((number, embedding))
        self.count += 1
        if len(self._waiting) >= _PART_ROWS or time.perf_counter() - self._flushed_at > _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._flushed_at = time.perf_counter()
        if not self._waiting:
            return
        numbers, embeddings = zip(*self._waiting, strict=True)
        path = self._place / f"part-{self._next:07d}.safetensors"
        write_file(embeddings, path, PART, {"numbers": json.dumps(numbers)})
        self._next, self._waiting = self._next + 1, []
        if self._keep is not None:
            self._keep(embeddings)


def stored_parts(place: Path) -> Iterator[tuple[Path, list[int], list[SummaryEmbedding]]]:
    """Yield the parts of a shard, with the numbers of their texts; those that cannot be read are set aside."""
    for path in sorted(place.glob("part-*.safetensors")):
        try:
            embeddings, metadata = read_file(path, PART, _COMMAND)
            yield path, json.loads(metadata["numbers"]), embeddings
        except (InputError, KeyError, ValueError) as error:
            aside = path.with_suffix(".damaged")
            os.replace(path, aside)
            _log.warning("%s cannot be read (%s); it is now %s, and its texts are done again", path, error, aside.name)


def _check_job(folder: Path, space: SpaceIdentity, config: InversionConfig, shard: Shard) -> None:
    """Write what the job is, or check that it is the same as for the shards before."""
    path = folder / "job.json"
    mine = {"format": _FORMAT, "space": asdict(space), "config": config.model_dump(), "shards": shard.count}
    with FileLock(folder / ".job.lock"):
        if not path.is_file():
            _write_json(path, mine)
            return
    job = _job(folder)
    if job["space"] != mine["space"]:
        began = SpaceIdentity(**job["space"])
        raise SpaceError(
            f"the job in {folder} was begun in {began}, this is {space} ({difference(began, space)}); "
            "use the same model, or a new folder"
        )
    for key in ("config", "shards"):
        if job[key] != mine[key]:
            raise InputError(f"the job in {folder} was begun with {key} {job[key]}, not {mine[key]}; use a new folder")


def _job(folder: Path) -> dict[str, Any]:
    job = _read_json(folder / "job.json", folder)
    if job.get("format") != _FORMAT:
        raise InputError(f"job.json in {folder} is not of the format {_FORMAT!r}; give another folder")
    return job


def _finished(place: Path) -> tuple[list[Refused], int | None]:
    """Return what an earlier run that came to its end refused, and how many texts its source had."""
    if not (place / "done.json").is_file():
        return [], None
    done = _read_json(place / "done.json", place)
    return [Refused(**row) for row in done["refused"]], done["texts"]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _write_json(path: Path, data: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(data, ensure_ascii=True, indent=1))


def _read_json(path: Path, folder: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} holds no job that can be read ({error}); begin one: `{_COMMAND} {folder}`"
        ) from error
