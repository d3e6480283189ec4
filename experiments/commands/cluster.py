"""``copyloom invert --engine ray``: a long job on a Ray cluster."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from copyloom import InputError
from experiments.commands import console

_SHARDS = 4
"""Parts of the texts for each worker, so that all end at about the same time."""


def invert_on_ray(
    source: Mapping[str, Any], around: Mapping[str, Any], address: str | None, workers: int, as_json: bool
) -> None:
    """Invert the texts of a file on a cluster, into a folder that all its nodes share.

    Parameters
    ----------
    source : mapping
        ``texts``, ``column``, ``reading`` and ``run``: the file, its column, how it is read, the folder of the job.
    around : mapping
        What else a `embeddings.ray_data.RayJob` takes.
    address : str, optional
        Of the cluster; one is started on this machine without.

    Raises
    ------
    InputError
        If Ray is not there, there is no file or no folder, or the cluster does not answer.
    """
    if source["texts"] is None or source["run"] is None:
        raise InputError("--engine ray needs --texts FILE and --run FOLDER, at the same place on all nodes")
    if not source["texts"].is_file():
        raise InputError(f"--engine ray reads --texts on all nodes; {source['texts']} is no file that they share")
    try:
        import ray
    except ImportError as error:
        raise InputError("Ray is not installed; install it on all nodes: pip install 'copyloom[ray]'") from error
    from embeddings.ray_data import RayJob, invert_with_ray
    from experiments.texts import read_lines

    texts = partial(read_lines, source["texts"].resolve(), source["column"], source["reading"])
    folder = source["run"].resolve()
    job = RayJob(texts=texts, folder=folder, shards=_SHARDS * workers, **around)
    _check_answers(address)
    ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
    try:
        reserved = {"num_gpus": 1} if around["device"] == "cuda" else {"num_cpus": 1}
        report = asdict(invert_with_ray(job, workers, **reserved)) | {"parquet": str(folder / "parquet")}
    finally:
        ray.shutdown()
    console.deliver(report, lambda found: console.out.print(
        f"{found['texts']:,} texts: {found['exact']:,} exact, {found['inexact']:,} not, {found['refused']:,} refused; "
        f"{found['resumed']:,} were there already\nParquet: {found['parquet']}"), as_json)  # fmt: skip


def _check_answers(address: str | None) -> None:
    """Raise unless something answers at host:port: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`") from error
