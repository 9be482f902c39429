"""The frozen trunk's tokens of every clip, computed once and read from a file in each epoch."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.progress import track
from pipeline.models.internvideo2 import InternVideo2

TRUNK_BATCH_CLIPS = 8
Inputs = Callable[[NDArray[np.int64]], Tensor]
"""From positions in the ravelled rows to what the trainable part takes."""


def trunk_inputs(
    model: InternVideo2, pixels: Callable[[NDArray[np.int64]], Tensor], rows: NDArray[np.int64], path: Path
) -> Inputs:
    """Runs the frozen trunk over clips.

    Args:
        model: with `freeze_trunk`; left in evaluation mode.
        pixels: from rows of the store to normalised clips, on the model's device.
        rows: of the clips.
        path: file to make for the tokens, float32.
    """
    shape = (len(rows), 1 + model.config.num_patches, model.config.embed_dim)
    reserve(path, math.prod(shape) * np.dtype(np.float32).itemsize)
    tokens = np.memmap(path, dtype=np.float32, mode="r+", shape=shape)
    model.eval()
    with track(f"adapt: trunk over {path.name}", len(rows)) as advance:
        for batch in batches(np.arange(len(rows)), TRUNK_BATCH_CLIPS):
            tokens[batch] = model.forward_trunk(pixels(rows[batch])).float().cpu().numpy()
            advance(len(batch))
    return lambda positions: torch.from_numpy(tokens[positions]).to(model.device)


def batches(items: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Divides an array into parts of ``size``; the last may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def reserve(path: Path, num_bytes: int) -> None:
    """Makes a file whose blocks on the disk are its own, to be mapped: on a full disk a mapped hole ends the process.

    Raises:
        OSError: the disk has too little free space.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        else:
            file.truncate(num_bytes)
