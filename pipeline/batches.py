"""Batches for training: which row of a video is shown, and reading the next batch while one is computed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.aligned import AlignedData
from pipeline.losses import Batch


def drawn_row(rows: np.ndarray, draw: float) -> int:
    """One of a video's rows, chosen by a number in 0 … 1."""
    return int(rows[min(int(draw * len(rows)), len(rows) - 1)])


def prefetched(
    data: AlignedData, batches: Sequence[np.ndarray], needs: Sequence[str], *, process: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """Gathers batches, each while the caller still works on the one before it.

    Args:
        data: where the rows are.
        batches: the rows of each batch, over all processes.
        needs: the columns that the losses read.
        process: index of this process and number of processes; each takes its share of every batch's rows, and a
            batch with fewer rows than processes is left out.

    Yields:
        This process's part of each batch, on the CPU.
    """
    index, count = process
    shares = [batch[index::count] for batch in batches if len(batch) >= count]
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = [pool.submit(data.batch, share, needs) for share in shares[:1]]
        for following in range(1, len(shares) + 1):
            batch = pending.pop().result()
            if following < len(shares):
                pending.append(pool.submit(data.batch, shares[following], needs))
            yield batch
