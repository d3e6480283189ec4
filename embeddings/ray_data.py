"""Inverting millions of texts on a Ray cluster: Ray hands out shards of a job, and each becomes a Parquet file.

Ray Data hands out the numbers of shards, keeps the workers busy and starts those again that die. All else is
`embeddings.job`: a shard goes on where it stopped, no two workers are at one, and none is lost or doubled. So all
nodes need one folder that they share, with locks: NFS 4, Lustre or the like, and no object store.

A million texts cost ``1e6 / texts a second and worker / 3600 * price of a worker's hour``. Each shard reads the whole
source, one or two seconds for a million texts: a few shards for each worker are enough, so that all end at about the
same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from copyloom import InputError
from embeddings.folders import replacing
from embeddings.inversion import Refused
from embeddings.inversion_config import InversionConfig
from embeddings.job import Shard, run_shard, stored_parts
from embeddings.space import DEFAULT_VECTORS, Space
from embeddings.summary import SpaceIdentity, SummaryEmbedding
from generator.models import SHIPPED

Texts = Callable[[], Iterable[str]]
"""Returns the whole source, the same for each call on each node."""


@dataclass(frozen=True)
class RayJob:
    """What the workers do.

    Parameters
    ----------
    texts : callable
        Returns the source: ``functools.partial(stream_texts, path)`` with `embeddings.sources.stream_texts`, say.
    folder : Path
        Of the job, on storage that all nodes share.
    shards : int
        Into how many parts the source is divided: a few for each worker.
    model, device : str
        As for `Space.load`, on the worker.
    vectors : int
        P, for models without an adapter.
    context : tuple of str
        Texts that always stand before and after the vectors.
    trust_remote_code : bool
        As for `Space.load`.
    config : InversionConfig, optional
        By default the space's own. `InversionConfig.rows` is the number of texts at a time.
    """

    texts: Texts
    folder: Path
    shards: int
    model: str = SHIPPED
    device: str = "auto"
    vectors: int = DEFAULT_VECTORS
    context: tuple[str, str] = ("", "")
    trust_remote_code: bool = False
    config: InversionConfig | None = None


@dataclass(frozen=True)
class RayReport:
    """What a finished job holds.

    Parameters
    ----------
    texts : int
        In the source.
    exact, inexact, refused : int
        Texts whose vectors decode back, those whose vectors do not, and those that cannot be inverted.
    resumed : int
        Texts that were there already: of an earlier run of the job, or of a worker that died.
    """

    texts: int
    exact: int
    inexact: int
    refused: int
    resumed: int


def invert_with_ray(job: RayJob, workers: int | tuple[int, int], **reserved: Any) -> RayReport:
    """Run all shards of `job` on the cluster that Ray is connected to, and write ``parquet/shard-*.parquet``.

    Run it again after a failure, with the same job: nothing that is finished is inverted again, and files are replaced
    by their equals. A worker that dies is started again as often as it takes.

    Parameters
    ----------
    job : RayJob
    workers : int or tuple of int
        How many, or the least and the most number of them.
    **reserved
        What Ray reserves for each worker: ``num_gpus=1``, ``num_cpus=4`` or ``resources={"neuron_cores": 1}``.

    Notes
    -----
    Columns: ``number`` in the source, ``text``, ``exact``, ``margin``, ``steps``, ``start``, ``vectors`` (P * D
    numbers), ``sentence_vector`` (S numbers), and ``refused``, the reason where a text cannot be inverted, which then
    has no vectors. The space is in ``job.json`` and in the metadata of each file.

    Raises
    ------
    InputError
        If Ray is not installed, shards saw different texts, or a text is missing. What a worker raises comes from Ray.
    """
    if job.shards < 1:
        raise InputError(f"shards is {job.shards}; give at least one, better a few for each worker")
    try:
        import ray.data
    except ImportError as error:
        raise InputError("Ray is not installed; install it on all nodes: pip install 'copyloom[ray]'") from error
    least, most = (workers, workers) if isinstance(workers, int) else workers
    one_each = ray.data.ActorPoolStrategy(min_size=least, max_size=most, max_tasks_in_flight_per_actor=1)
    numbers = ray.data.from_items([{"index": index} for index in range(job.shards)], override_num_blocks=job.shards)
    worker: Any = ShardWorker  # Ray's types know functions only
    done = numbers.map(worker, fn_constructor_kwargs={"job": job}, compute=one_each, **reserved)
    return _checked(job, done.take_all())


class ShardWorker:
    """Holds a space, and inverts one shard after the other in it."""

    def __init__(self, job: RayJob) -> None:
        self._job = job
        self._space = Space.load(job.model, job.device, job.vectors, job.context, job.trust_remote_code)

    def __call__(self, shard: dict[str, int]) -> dict[str, Any]:
        """Run the shard ``{"index": i}`` and write its Parquet file; return counts and the hash of the source."""
        job, which = self._job, Shard(shard["index"], self._job.shards)
        report = run_shard(self._space, job.texts(), job.folder, job.config, which)
        path = job.folder / "parquet" / f"{which}.parquet"
        rows = _write(path, self._space.identity, self._space.encoder.size, _tables(job.folder, which, report.refused))
        if rows != report.finished + len(report.refused):
            raise InputError(f"{path} lacks texts, as a part of {which} was damaged; run the job again")
        return {
            "source": report.source, "texts": report.texts, "exact": report.exact, "resumed": report.resumed,
            "inexact": report.finished - report.exact, "refused": len(report.refused),
        }  # fmt: skip


def _checked(job: RayJob, shards: list[dict[str, Any]]) -> RayReport:
    """Return the sums over all shards, once they fit together."""
    if len({(shard["source"], shard["texts"]) for shard in shards}) > 1:
        raise InputError(f"the shards in {job.folder} saw different texts; run the job in a new folder with one source")
    found = {key: sum(shard[key] for shard in shards) for key in ("exact", "inexact", "refused", "resumed")}
    report = RayReport(texts=shards[0]["texts"], **found)
    if (there := report.exact + report.inexact + report.refused) != report.texts:
        raise InputError(f"{job.folder} holds {there} of {report.texts} texts; run the job again in a new folder")
    return report


def _tables(folder: Path, shard: Shard, refused: list[Refused]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a shard, a part at a time, the refused texts last."""
    for _, numbers, embeddings in stored_parts(folder / str(shard)):
        yield [_row(number, embedding) for number, embedding in zip(numbers, embeddings, strict=True)]
    yield [{"number": text.index, "text": text.text, "exact": False, "refused": text.reason} for text in refused]


def _row(number: int, embedding: SummaryEmbedding) -> dict[str, Any]:
    return {
        "number": number, "text": embedding.text, "exact": embedding.exact, "margin": embedding.margin,
        "steps": embedding.steps, "start": embedding.start, "vectors": _numbers(embedding.vectors),
        "sentence_vector": _numbers(embedding.sentence_vector),
    }  # fmt: skip


def _numbers(tensor: torch.Tensor) -> Any:
    return tensor.flatten().numpy()


def _write(path: Path, space: SpaceIdentity, sentence_size: int, tables: Iterable[list[dict[str, Any]]]) -> int:
    """Write rows to a Parquet file, all or nothing, and return how many there are."""
    vectors, sentence = (pa.list_(pa.float32(), size) for size in (space.vectors * space.hidden_size, sentence_size))
    schema = pa.schema([
        ("number", pa.int64()), ("text", pa.string()), ("exact", pa.bool_()), ("margin", pa.float64()),
        ("steps", pa.int64()), ("start", pa.string()), ("vectors", vectors), ("sentence_vector", sentence),
        ("refused", pa.string()),
    ], metadata={"space": json.dumps(asdict(space))})  # fmt: skip
    written = 0
    with replacing(path) as partial, pq.ParquetWriter(partial, schema) as file:
        for rows in tables:
            file.write_table(pa.Table.from_pylist(rows, schema))
            written += len(rows)
    return written
