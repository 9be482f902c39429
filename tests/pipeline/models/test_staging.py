"""Staging moves bytes and changes none; on CUDA it overlaps, which only a machine that has it can show."""

import threading

import numpy as np
import pytest
import torch

from pipeline.models.staging import Stage, ahead, staged, stream
from pipeline.students.data.batch import Batch

CPU = torch.device("cpu")
CLIPS = [np.full((2, 1, 4, 4, 3), value, np.uint8) for value in range(5)]


def brightness(key: int, clips: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"mean": clips.float().mean(dim=(1, 2, 3, 4)) + key}


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_items_come_in_order_whatever_is_read_ahead(depth: int) -> None:
    assert list(ahead(iter(range(7)), depth)) == list(range(7))
    assert list(ahead(iter(()), depth)) == []


def test_what_is_read_ahead_is_read_on_another_thread() -> None:
    drawn_on = list(ahead((threading.current_thread().name for _ in range(3)), 2))
    assert threading.current_thread().name not in drawn_on
    assert set(ahead((threading.current_thread().name for _ in range(3)), 0)) == {threading.current_thread().name}


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_comes_where_its_item_would(depth: int) -> None:
    def items():
        yield 1
        raise OSError("gone")

    drawn = ahead(items(), depth)
    assert next(drawn) == 1
    with pytest.raises(OSError, match="gone"):
        next(drawn)


def test_a_stream_keeps_the_order_and_passes_over_what_is_not_computed() -> None:
    batches = [(0, CLIPS[0]), (1, None), (2, CLIPS[2])]
    told = list(stream(batches, brightness, CPU))
    assert [key for key, _ in told] == [0, 1, 2]
    assert told[1][1] is None
    np.testing.assert_array_equal(told[2][1]["mean"], np.full(2, 4, np.float32))


def test_on_a_cpu_nothing_is_read_ahead_or_kept_back() -> None:
    drawn = []

    def batches():
        for key, clips in enumerate(CLIPS):
            drawn.append(key)
            yield key, clips

    results = stream(batches(), brightness, CPU)
    next(results)
    assert drawn == [0]
    assert (Stage(CPU).depth, Stage(CPU).overlaps) == (0, False)


@pytest.mark.gpu
def test_on_cuda_the_values_are_the_same_and_one_result_is_in_flight() -> None:
    device, drawn = torch.device("cuda"), []

    def batches():
        for key, clips in enumerate(CLIPS):
            drawn.append(key)
            yield key, clips

    results = stream(batches(), brightness, device)
    first = next(results)
    assert len(drawn) >= 2
    told = [first, *results]
    for (key, arrays), clips in zip(told, CLIPS, strict=True):
        assert arrays is not None
        np.testing.assert_array_equal(arrays["mean"], brightness(key, torch.from_numpy(clips))["mean"].numpy())


def test_staged_batches_are_the_same_batches() -> None:
    batches = [
        Batch(
            clips=torch.from_numpy(clips),
            mos=torch.zeros(2),
            labelled=torch.ones(2, dtype=torch.bool),
            targets={"a": mos},
        )
        for clips, mos in zip(CLIPS, torch.arange(10.0).reshape(5, 2), strict=True)
    ]
    for ours, given in zip(staged(iter(batches), CPU), batches, strict=True):
        assert torch.equal(ours.clips, given.clips)
        assert torch.equal(ours.targets["a"], given.targets["a"])
        assert ours.group is None


@pytest.mark.gpu
def test_staged_batches_are_on_cuda_with_the_same_values() -> None:
    batches = [{"clips": torch.from_numpy(clips)} for clips in CLIPS]
    for ours, given in zip(staged(iter(batches), torch.device("cuda")), batches, strict=True):
        assert ours["clips"].is_cuda
        assert torch.equal(ours["clips"].cpu(), given["clips"])
