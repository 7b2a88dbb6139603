"""Tasks and shards of any request cover its images once, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapetum.tasks.plan import TASK_IMAGES, Shard, Task, shards, task_bounds

counts = st.integers(1, 2000)
batch_sizes = st.integers(1, 100)
firsts = st.integers(1, 10_000)


@given(counts, batch_sizes, firsts)
def test_tasks_are_runs_of_whole_shards_that_cover_every_image_once(images, batch_size, first):
    bounds = task_bounds(images, batch_size, first)
    of_tasks = [shard for start, end in bounds for shard in shards(start, end, batch_size)]
    assert of_tasks == list(shards(first, first + images - 1, batch_size))
    positions = [n for shard in of_tasks for n in range(shard.first, shard.last + 1)]
    assert positions == list(range(first, first + images))


@given(counts, batch_sizes)
def test_there_is_one_shard_per_started_batch(images, batch_size):
    cut = list(shards(1, images, batch_size))
    assert len(cut) == -(-images // batch_size)
    assert all(len(shard) == batch_size for shard in cut[:-1])


@given(counts, batch_sizes)
def test_tasks_are_bounded(images, batch_size):
    for start, end in task_bounds(images, batch_size):
        assert end - start + 1 <= max(TASK_IMAGES, batch_size)


def test_a_small_batch_still_keeps_several_workers_busy():
    assert len(task_bounds(12, batch_size=2)) == 3


def test_shard_names_are_googles():
    names = [shard.name for shard in shards(1, 3, 2)]
    assert names == ["output-1-to-2.json", "output-3-to-3.json"]


def test_a_task_skips_the_shards_already_recorded():
    task = Task("o", first=11, last=17, batch_size=3, output_uri="", requests=b"", done=3)
    assert list(task.shards_left()) == [Shard(14, 16), Shard(17, 17)]
