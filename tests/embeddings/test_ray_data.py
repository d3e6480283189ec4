"""On a Ray cluster no text is lost or doubled, whoever dies, and the Parquet files hold what the job holds."""

import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from embeddings import inversion
from embeddings import job as parts
from embeddings.inversion import Refused
from embeddings.inversion_config import InversionConfig
from embeddings.job import merge
from embeddings.ray_data import RayJob, ShardWorker, invert_with_ray
from embeddings.sources import stream_texts

TEXTS = ["A quiet kettle.", "", "Tea that wakes you.", "word " * 2000, "A quiet kettle.", "½ off ☕", "Go."]
REFUSED = {1: "is empty", 3: "has 10,000 characters"}


@pytest.fixture
def job(tmp_path):
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    return RayJob(partial(stream_texts, source), tmp_path / "job", shards=2, device="cpu")


def rows(folder):
    """The rows of all Parquet files, by number of the text."""
    return sorted(pq.read_table(folder / "parquet").to_pylist(), key=lambda row: row["number"])


def test_a_shard_becomes_a_file_of_all_its_texts(job, space):
    worker = ShardWorker(job)
    counts = [worker({"index": index}) for index in range(2)]
    found = rows(job.folder)
    assert [(row["number"], row["text"]) for row in found] == list(enumerate(TEXTS))
    assert {row["number"] for row in found if row["refused"]} == set(REFUSED)
    assert all(reason in found[number]["refused"] for number, reason in REFUSED.items())
    assert sum(count["refused"] for count in counts) == len(REFUSED)
    for number, embedding in merge(job.folder):
        row = found[number]
        if isinstance(embedding, Refused):
            assert (row["exact"], row["vectors"], row["sentence_vector"]) == (False, None, None)
            continue
        assert (row["exact"], row["margin"], row["steps"]) == (embedding.exact, embedding.margin, embedding.steps)
        assert np.array_equal(np.float32(row["vectors"]), embedding.vectors.flatten().numpy())
        assert np.array_equal(np.float32(row["sentence_vector"]), embedding.sentence_vector.numpy())
    (path, *_) = job.folder.glob("parquet/*")
    assert json.loads(pq.read_schema(path).metadata[b"space"]) == asdict(space.identity)


def test_a_second_run_writes_the_same(job):
    first = ShardWorker(job)({"index": 0})
    before = rows(job.folder)
    again = ShardWorker(job)({"index": 0})
    assert (first["resumed"], again["resumed"]) == (0, 4 - len(REFUSED) + 2)
    assert rows(job.folder) == before


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path):
    """It is killed once a part is stored; Ray starts it again, and its shard goes on."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'copyloom[ray]'")
    folder, killed = tmp_path / "job", tmp_path / "killed"
    source = [f"Tea {number}." if number % 25 else "" for number in range(80)]

    def kill_once():
        while not list(folder.glob("*/part-*.safetensors")):
            time.sleep(0.01)
        with suppress(FileExistsError):
            killed.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    def texts():
        parts._PART_ROWS, inversion._DECODES = 16, 0.25  # in the worker's process, for which 80 texts are many then
        threading.Thread(target=kill_once, daemon=True).start()
        return source

    whole = RayJob(texts, folder, 2, device="cpu", config=InversionConfig(rows=8))
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        report = invert_with_ray(whole, workers=1, num_cpus=1)
        again = invert_with_ray(whole, workers=2, num_cpus=1)
        found = rows(folder)
        with pytest.raises(Exception, match="that this job began with"):
            invert_with_ray(replace(whole, texts=lambda: ["", "Other."]), workers=1, num_cpus=1)
    finally:
        ray.shutdown()
    assert killed.exists()
    assert (report.texts, report.exact, report.inexact, report.refused) == (80, 76, 0, 4)
    assert 0 < report.resumed < 76 == again.resumed
    assert [(row["number"], row["text"]) for row in found] == list(enumerate(source))


def test_shards_of_different_texts_are_not_summed(job):
    from embeddings.ray_data import _checked

    one = {"source": "a", "texts": 3, "exact": 2, "inexact": 0, "refused": 0, "resumed": 0}
    with pytest.raises(InputError, match="saw different texts"):
        _checked(job, [one, one | {"source": "b"}])
    with pytest.raises(InputError, match="holds 2 of 3 texts; run the job again"):
        _checked(job, [one])
