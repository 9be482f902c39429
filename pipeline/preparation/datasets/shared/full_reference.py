"""MS-SSIM and PSNR of luma by torchmetrics, for ladders of a user's own.

The embedded data has its own implementation (``pipeline/synthesis/fullreference.py``), which also measures patches and
takes a fifth of the time; there every run makes the scores anew. Here they are made once, and may be published.

Ref: Wang, Simoncelli, Bovik: Multi-scale structural similarity for image quality assessment (2003).
"""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.synthesis.planes import Byte

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_PX = 176
"""Shortest side that MS-SSIM takes: five scales, and a window of 11 px on the last."""
TOO_SMALL = f"ms_ssim takes sides of {SMALLEST_PX} px and more; use score: psnr"
MAX_DB = 50.0


def made_by() -> str:
    """The library and its version, which the scores depend on."""
    import torchmetrics

    return f"torchmetrics {torchmetrics.__version__}"


def ms_ssim(reference: Byte, distorted: Byte) -> float:
    """Multi-scale SSIM, the mean over frames.

    Args:
        reference: uint8 ``t h w``, luma.
        distorted: uint8 ``t h w``.

    Returns:
        At most 1.

    Raises:
        DatasetError: a side is shorter than ``SMALLEST_PX``.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    height, width = reference.shape[1:]
    if min(height, width) < SMALLEST_PX:
        raise DatasetError(f"got frames of {width}x{height} px; {TOO_SMALL}")
    # Frame by frame, so that memory does not grow with their number.
    values = [
        measure(_tensor(one), _tensor(other), data_range=255.0) for one, other in zip(distorted, reference, strict=True)
    ]
    return float(np.mean([float(value) for value in values]))


def psnr(reference: Byte, distorted: Byte) -> float:
    """Peak signal-to-noise ratio over all frames together, dB, at most ``MAX_DB``.

    Args:
        reference: uint8 ``t h w``, luma.
        distorted: uint8 ``t h w``.
    """
    from torchmetrics.image import PeakSignalNoiseRatio

    measure = PeakSignalNoiseRatio(data_range=255.0)
    for one, other in zip(distorted, reference, strict=True):
        measure.update(_tensor(one), _tensor(other))
    return min(MAX_DB, float(measure.compute()))


def _tensor(frame: Byte) -> "Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(frame)).float()[None, None]
