"""Jobs lose no text and do none twice, whoever is killed, and say so when something does not fit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from copyloom import InputError, SpaceError
from embeddings.inversion import Refused
from embeddings.inversion_config import InversionConfig
from embeddings.job import Shard, merge, run_shard
from embeddings.space import Space

TEXTS = [
    "A quiet kettle.",
    "",
    "Tea that wakes you.",
    "word " * 2000,
    "A quiet kettle.",
    "½ off ☕",
    "\ud800 torn",
    "Go.",
]
"""With an empty one, one too long, two that are equal, and one that is not Unicode."""
FIT = {0, 2, 4, 5, 7}


@pytest.fixture(scope="module")
def finished(space, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    return folder, run_shard(space, TEXTS, folder)


def contents(folder):
    return {number: found for number, found in merge(folder)}


def test_every_text_comes_out_once_in_the_order_of_the_source(finished):
    folder, report = finished
    found = contents(folder)
    assert list(found) == list(range(len(TEXTS)))
    assert {n for n, embedding in found.items() if not isinstance(embedding, Refused)} == FIT
    assert all(found[n].text == TEXTS[n] and found[n].exact for n in FIT)
    assert (report.texts, report.finished, report.exact, report.resumed) == (len(TEXTS), 5, 5, 0)


def test_refused_texts_say_why(finished):
    reasons = {refused.index: refused.reason for refused in finished[1].refused}
    assert set(reasons) == set(range(len(TEXTS))) - FIT
    assert reasons[1].startswith("is empty")
    assert "holds at most 160" in reasons[3]
    assert "surrogate" in reasons[6]


def test_shards_make_the_same_job(space, finished, tmp_path):
    for index in (2, 0, 1):
        with pytest.raises(InputError, match="not finished"):
            contents(tmp_path) if index != 2 else contents_of_none(tmp_path)
        run_shard(space, iter(TEXTS), tmp_path, shard=Shard(index, 3))
    whole, sharded = contents(finished[0]), contents(tmp_path)
    assert list(sharded) == list(whole)
    for number in FIT:
        assert (sharded[number].text, sharded[number].exact) == (whole[number].text, True)


def contents_of_none(folder):
    with pytest.raises(InputError, match="holds no job that can be read"):
        contents(folder)
    raise InputError("not finished")


def test_finished_texts_are_not_done_again(space, finished):
    folder, first = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("part-*")}
    kept = []
    again = run_shard(space, TEXTS, folder, keep=kept.extend)
    assert (again.resumed, again.finished, again.exact) == (first.finished, first.finished, first.exact)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("part-*")} == before
    assert sorted(embedding.text for embedding in kept) == sorted(TEXTS[n] for n in FIT)


def test_a_damaged_part_is_done_again(space, tmp_path):
    run_shard(space, TEXTS, tmp_path)
    part = next(tmp_path.rglob("part-*.safetensors"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(InputError, match="texts are missing"):
        contents(tmp_path)
    report = run_shard(space, TEXTS, tmp_path)
    assert report.resumed == 0
    assert {n for n, e in contents(tmp_path).items() if not isinstance(e, Refused)} == FIT


def test_another_job_in_the_same_folder_is_refused(space, random_model, finished):
    folder, _ = finished
    with pytest.raises(InputError, match=r"text 1 .* is not the one that this job began with"):
        run_shard(space, ["Another.", *TEXTS[1:]], folder)
    with pytest.raises(InputError, match="begun with config"):
        run_shard(space, TEXTS, folder, InversionConfig(margin=3.0))
    with pytest.raises(InputError, match="begun with shards 1, not 2"):
        run_shard(space, TEXTS, folder, shard=Shard(0, 2))
    other = Space(random_model(max_position_embeddings=256), space.encoder)
    with pytest.raises(SpaceError, match="random LlamaConfig"):
        run_shard(other, TEXTS, folder, other.default_inversion)


def test_shards_of_different_texts_are_not_merged(space, tmp_path):
    run_shard(space, TEXTS, tmp_path, shard=Shard(0, 2))
    run_shard(space, [*TEXTS, "One more."], tmp_path, shard=Shard(1, 2))
    with pytest.raises(InputError, match="saw different texts"):
        contents(tmp_path)


def test_a_finished_shard_refuses_other_texts_and_is_left_as_it_was(space, tmp_path):
    run_shard(space, TEXTS[:2], tmp_path)
    before = (tmp_path / "shard-0-of-1" / "done.json").read_bytes()
    with pytest.raises(InputError, match="not the one that this job began with"):
        run_shard(space, [TEXTS[0], " "], tmp_path)
    with pytest.raises(InputError, match="fewer texts"):
        run_shard(space, [*TEXTS[:2], "Tea."], tmp_path)
    with pytest.raises(InputError, match="holds 2 texts, the source 1"):
        run_shard(space, TEXTS[:1], tmp_path)
    assert (tmp_path / "shard-0-of-1" / "done.json").read_bytes() == before
    assert run_shard(space, TEXTS[:2], tmp_path).resumed == 1
    assert list(contents(tmp_path)) == [0, 1]


def test_two_workers_cannot_take_one_shard(space, tmp_path):
    class Meddling(list):
        def __iter__(self):
            with pytest.raises(InputError, match="another worker is writing to"):
                run_shard(space, TEXTS, tmp_path)
            return super().__iter__()

    assert run_shard(space, Meddling(TEXTS), tmp_path).finished == 5


def test_what_finished_before_an_error_is_kept(space, tmp_path, monkeypatch):
    for name, few in (("job._PART_ROWS", 8), ("inversion._DECODES", 0.1), ("inverting._READ_AHEAD", 16)):
        monkeypatch.setattr(f"embeddings.{name}", few)  # so that 60 texts are many

    def failing():
        yield from TEXTS[:3]
        yield from (f"Filler number {i} for you." for i in range(60))
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="disk"):
        run_shard(space, failing(), tmp_path, InversionConfig(rows=2))
    assert list(tmp_path.rglob("part-*"))


WORKER = """
import sys
from pathlib import Path
from embeddings import inversion, job
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
job._PART_ROWS, inversion._DECODES = 16, 0.25  # a hundred texts are many parts then
texts = [f"Claim number {i} of the tea." for i in range(100)]
job.run_shard(Space.load(device="cpu"), texts, Path(sys.argv[1]), InversionConfig(rows=8, precision="float32"))
"""


@pytest.mark.slow
def test_a_killed_worker_goes_on_where_it_stopped(tmp_path):
    root = Path(__file__).parents[2]

    def start():
        return subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], cwd=root, env=os.environ)

    worker = start()
    while not list(tmp_path.rglob("part-*.safetensors")):
        assert worker.poll() is None
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    stored = {path: path.read_bytes() for path in tmp_path.rglob("part-*.safetensors")}
    assert start().wait() == 0
    assert all(path.read_bytes() == data for path, data in stored.items())
    found = contents(tmp_path)
    assert [found[n].text for n in range(100)] == [f"Claim number {n} of the tea." for n in range(100)]
    assert all(embedding.exact for embedding in found.values())


@pytest.mark.parametrize("text", ["4/4", "1", "a/b", "-1/2", "0/0", "", "1/2/3"])
def test_wrong_shards_are_refused(text):
    with pytest.raises(InputError, match="write i/n with i from 0 to n - 1"):
        Shard.parse(text)


def test_vectors_survive_bit_for_bit(space, finished, tmp_path):
    folder, _ = finished
    first = contents(folder)
    second = contents(folder)
    for number in FIT:
        assert torch.equal(first[number].vectors, second[number].vectors)
