"""Full-reference measures: MS-SSIM, PSNR, detail loss, and what they say of every small patch.

The label of the embedded data is ``pseudo-MOS (MS-SSIM)``: a stand-in for opinion scores, stated as such wherever it is
printed.
"""

import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.synthesis.planes import Byte, Float

SCORE_NAME = "pseudo-MOS (MS-SSIM)"
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCORE_CENTRE_DB, _SCORE_SPREAD_DB = 16.0, 4.0
_MAX_DB = 50.0


class MeasureError(PipelineError):
    """Reference and distorted video do not fit together."""


def score(ms_ssim_db: float) -> float:
    """The pseudo-MOS: ``100 · sigmoid((dB − 16) / 4)``.

    The constants belong to the definition: chosen once, so that encodes from transparent to ruined cover the scale, and
    never fitted to a data set.
    """
    return float(100.0 / (1.0 + np.exp(-(ms_ssim_db - _SCORE_CENTRE_DB) / _SCORE_SPREAD_DB)))


def decibels(similarity: float) -> float:
    """``−10 · log10(1 − similarity)``, at most 50."""
    return float(min(_MAX_DB, -10.0 * np.log10(max(1.0 - similarity, 1e-9))))


def ms_ssim(reference: Byte, distorted: Byte) -> float:
    """Multi-scale SSIM of luma, averaged over frames.

    Gaussian windows of 11 px, sigma 1.5, over five scales; on a scale smaller than 11 px the window shrinks with it.
    The windows are applied as products with banded matrices, which is ten times as fast as a convolution.

    Args:
        reference: uint8 ``t h w``, luma.
        distorted: uint8 ``t h w``.

    Returns:
        The mean over frames, at most 1.

    Raises:
        MeasureError: the shapes differ, or a side is below 16 px.

    Ref: Wang, Simoncelli, Bovik: Multi-scale structural similarity for image quality assessment (2003).
    """
    _check(reference, distorted)
    x, y = reference.astype(np.float32), distorted.astype(np.float32)
    value = np.ones(len(x), dtype=np.float64)
    for index, weight in enumerate(_WEIGHTS):
        luminance, contrast = _ssim_parts(x, y)
        # Per frame and scale, as the authors' code does; a negative mean would have no real power.
        term = contrast if index < len(_WEIGHTS) - 1 else luminance * contrast
        value *= np.maximum(term.mean(axis=(1, 2)), 1e-4) ** weight
        if index < len(_WEIGHTS) - 1:
            x, y = _half(x), _half(y)
    return float(value.mean())


def psnr(reference: Byte, distorted: Byte) -> float:
    """Peak signal-to-noise ratio of luma over the whole clip, dB, at most 50."""
    _check(reference, distorted)
    error = np.square(reference.astype(np.float32) - distorted.astype(np.float32)).mean(dtype=np.float64)
    return float(min(_MAX_DB, 10.0 * np.log10(255.0**2 / max(float(error), 1e-6))))


def detail_loss(reference: Byte, distorted: Byte) -> float:
    """How much of the reference's fine contrast is gone: 0 none, 1 all; below 0 where contrast was added.

    One minus the ratio of the mean absolute differences between neighbouring pixels, both axes together.
    """
    _check(reference, distorted)
    return 1.0 - (_roughness(distorted) + 0.5) / (_roughness(reference) + 0.5)


def _roughness(luma: Byte) -> float:
    values = luma.astype(np.float32)
    across = np.abs(values[:, :, 1:] - values[:, :, :-1]).mean(dtype=np.float64)
    down = np.abs(values[:, 1:] - values[:, :-1]).mean(dtype=np.float64)
    return float(across + down)


PATCH_MEASURES = ("log_mse", "ssim_fine", "ssim_coarse", "detail")
"""What ``patch_measures`` gives, in order; each about 0 for no distortion, rising to about 1–2."""


def patch_measures(reference: Byte, distorted: Byte, patch_px: int, tubelet: int) -> Float:
    """Distortion of every patch: the dense targets of the embedded teacher's pre-training.

    Args:
        reference: uint8 ``… t h w``, luma.
        distorted: as ``reference``.
        patch_px: side of a patch; a multiple of 2 that divides ``h`` and ``w``.
        tubelet: frames per patch; divides ``t``.

    Returns:
        float32 ``… t/tubelet h/patch w/patch 4`` of ``PATCH_MEASURES``: log10 of 1 + MSE, over 2; −log10 of structural
        similarity's distance to 1 as a loss over 7 px windows and over the patch at half resolution; and the lost share
        of the patch's variance, in nats over 3, signed.
    """
    x = _patches(reference, patch_px, tubelet)
    y = _patches(distorted, patch_px, tubelet)
    mse = np.square(x - y).mean(axis=(-3, -2, -1))
    half = patch_px // 2
    corners = [(slice(r, r + half), slice(c, c + half)) for r in (0, half) for c in (0, half)]
    fine = np.mean([_block_ssim(x[..., r, c], y[..., r, c]) for r, c in corners], axis=0)
    coarse = _block_ssim(_half(x), _half(y))
    x_deviation, y_deviation = x.std(axis=(-2, -1)).mean(axis=-1), y.std(axis=(-2, -1)).mean(axis=-1)
    measures = (
        np.log10(1.0 + mse) / 2.0,
        -np.log10(np.maximum(fine, 1e-2)),
        -np.log10(np.maximum(coarse, 1e-2)),
        np.log((x_deviation + 1.0) / (y_deviation + 1.0)) / 3.0,
    )
    return np.stack(measures, axis=-1).astype(np.float32)


def _patches(luma: Byte, patch_px: int, tubelet: int) -> Float:
    """``… t h w`` → float32 ``… t' h' w' tubelet patch patch``."""
    *lead, frames, height, width = luma.shape
    shape = (*lead, frames // tubelet, tubelet, height // patch_px, patch_px, width // patch_px, patch_px)
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3, n + 5)
    return luma.astype(np.float32).reshape(shape).transpose(order)


def _block_ssim(x: Float, y: Float) -> Float:
    """Contrast-structure term of whole blocks, averaged over the tubelet."""
    dx = x - x.mean(axis=(-2, -1), keepdims=True)
    dy = y - y.mean(axis=(-2, -1), keepdims=True)
    covariance = (dx * dy).mean(axis=(-2, -1))
    variances = (dx * dx).mean(axis=(-2, -1)) + (dy * dy).mean(axis=(-2, -1))
    return ((2 * covariance + _C2) / (variances + _C2)).mean(axis=-1)


def _ssim_parts(x: Float, y: Float) -> tuple[Float, Float]:
    """Luminance and contrast-structure maps of one scale, ``t h' w'``."""
    down, across = _window(x.shape[1]), _window(x.shape[2]).T

    def filtered(values: Float) -> Float:
        smooth: Float = np.matmul(down, values @ across)
        return smooth

    mean_x, mean_y = filtered(x), filtered(y)
    square_x, square_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    energy = filtered(x * x + y * y) - square_x - square_y
    covariance = filtered(x * y) - product
    luminance: Float = np.divide(2 * product + np.float32(_C1), square_x + square_y + np.float32(_C1))
    contrast: Float = np.divide(2 * covariance + np.float32(_C2), energy + np.float32(_C2))
    return luminance, contrast


def _window(size: int) -> Float:
    """A banded matrix ``(size - taps + 1, size)`` whose rows are a Gaussian window."""
    taps = min(11, size)
    sigma = 1.5 * taps / 11
    kernel = np.exp(-0.5 * ((np.arange(taps) - (taps - 1) / 2) / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = np.zeros((size - taps + 1, size), dtype=np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + taps] = kernel
    return matrix


def _half(frames: Float) -> Float:
    """2x2 averages of the last two axes; an odd last row or column is left out."""
    rows, columns = frames.shape[-2] // 2 * 2, frames.shape[-1] // 2 * 2
    even = frames[..., :rows, :columns]
    pairs = even[..., 0::2, :] + even[..., 1::2, :]
    return (pairs[..., 0::2] + pairs[..., 1::2]) * np.float32(0.25)


def _check(reference: Byte, distorted: Byte) -> None:
    if reference.shape != distorted.shape:
        raise MeasureError(f"got shapes {reference.shape} and {distorted.shape}; expected equal ones; scale one first")
    if reference.ndim != 3 or min(reference.shape[1:]) < 16:
        raise MeasureError(f"got shape {reference.shape}; expected t h w with sides of at least 16 px")
