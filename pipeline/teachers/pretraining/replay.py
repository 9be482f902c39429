"""The replay pool: a memory-mapped ring of groups that generator processes fill and the trainer samples from.

Training never waits for generation; a group is seen several times, in other company, before it is overwritten. Each
slot has a version that is odd while it is written, so that a reader notices a group that changed under its hands.
"""

import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from pipeline.synthesis.fullreference import PATCH_MEASURES
from pipeline.teachers.pretraining import examples
from pipeline.teachers.pretraining.examples import Group, Variety
from pipeline.teachers.pretraining.natural.examples import make_groups

_ARRAYS = {
    "clips": (np.uint8, (examples.ENCODES, examples.NUM_FRAMES, examples.CLIP_PX, examples.CLIP_PX, 3)),
    "dense": (np.float16, (examples.ENCODES, *examples.CELLS, len(PATCH_MEASURES))),
    "targets": (np.float32, (examples.ENCODES, len(examples.CLIP_TARGETS))),
    "codecs": (np.int64, (examples.ENCODES,)),
}


_NICENESS = 2
"""Generators give way to the trainer."""
_REUSE = 2
"""How often a group is drawn, on average, before it is replaced; generators wait when they are ahead of that."""


START = 600
"""Groups that are made before the first is drawn."""


class Replay:
    """A ring of groups in a folder, shared between processes.

    Args:
        folder: where the arrays lie; made when missing, continued when there.
        capacity: number of groups (each about 0.9 MB).
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.capacity = capacity
        self._arrays = {
            name: _open(folder / f"{name}-{capacity}.bin", dtype, (capacity, *shape))
            for name, (dtype, shape) in _ARRAYS.items()
        }
        self._versions = _open(folder / f"versions-{capacity}.bin", np.int64, (capacity,))
        self._counts = _open(folder / "counts.bin", np.int64, (2,))

    def write(self, slot: int, group: Group) -> None:
        """Puts a group into a slot."""
        slot %= self.capacity
        self._versions[slot] = self._versions[slot] // 2 * 2 + 1
        for name, array in self._arrays.items():
            array[slot] = getattr(group, name)
        self._versions[slot] += 1
        self._counts[0] += 1

    def filled(self) -> int:
        """How many slots can be read."""
        return int(np.count_nonzero((self._versions > 0) & (self._versions % 2 == 0)))

    def written(self) -> int:
        """How many groups were ever written; exact with one generator."""
        return int(self._counts[0])

    def ahead(self) -> bool:
        """Whether there is fresh material enough for what was drawn so far."""
        return int(self._counts[0]) > START + int(self._counts[1]) // _REUSE

    def sample(self, rng: np.random.Generator, num_groups: int, *, counted: bool = True) -> Group:
        """Draws groups and stacks them.

        Args:
            rng: decides which.
            num_groups: at least 1.
            counted: whether the generators make new groups for these.

        Returns:
            A ``Group`` whose arrays have a leading axis of ``num_groups``.
        """
        drawn: list[Group] = []
        while len(drawn) < num_groups:
            slot = int(rng.integers(self.capacity))
            version = int(self._versions[slot])
            if version <= 0 or version % 2:
                continue
            group = Group(*(np.array(self._arrays[name][slot]) for name in _ARRAYS))
            if int(self._versions[slot]) == version:
                drawn.append(group)
        if counted:
            self._counts[1] += num_groups
        return Group(*(np.stack([getattr(group, name) for group in drawn]) for name in _ARRAYS))


def start_generators(folder: Path, capacity: int, variety: Variety, workers: int, first: int) -> list[BaseProcess]:
    """Starts processes that fill the pool without end, at low priority.

    Args:
        folder: of the pool.
        capacity: of the pool.
        variety: what to draw from.
        workers: number of processes.
        first: index of the first content; a resumed run goes on where it was, so that no content comes twice.
    """
    context = get_context("spawn")
    # Read by the numerical libraries of the new processes; this process has read them already.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    processes: list[BaseProcess] = []
    for worker in range(workers):
        process = context.Process(
            target=_generate, args=(folder, capacity, variety, first + worker, workers, os.getpid()), daemon=True
        )
        process.start()
        processes.append(process)
    return processes


def _generate(folder: Path, capacity: int, variety: Variety, first: int, step: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    replay = Replay(folder, capacity)
    index = first
    while os.getppid() == parent:
        if replay.ahead():
            time.sleep(0.5)
            continue
        for view, group in enumerate(make_groups(variety, index)):
            replay.write(index * variety.views + view, group)
        index += step
        (folder / f"next-{first % step}").write_text(str(index), encoding="utf-8")


def next_content(folder: Path) -> int:
    """The first content index that no generator has made yet."""
    return max((int(path.read_text(encoding="utf-8")) for path in folder.glob("next-*")), default=0)


def wait_until_filled(replay: Replay, groups: int, timeout_seconds: float) -> bool:
    """Waits for the first groups; returns whether they came in time."""
    start = time.monotonic()
    while replay.filled() < groups:
        if time.monotonic() - start > timeout_seconds:
            return False
        time.sleep(0.2)
    return True


def _open(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    return np.memmap(path, dtype=dtype, mode="r+" if path.exists() else "w+", shape=shape)
