"""Statistics of a clip's own pixels: what a network has to perceive before it can judge, so it is taught them too.

A network this small finds the energy of a frequency band slowly by itself (``reference``: ridge on such statistics
beats it after half an hour of training); asked for them directly, token by token, it has them within minutes.
"""

from functools import cache

import torch
from torch import Tensor

BANDS = 7
"""Rings of spatial frequency, of equal width, without the constant."""
TOKEN_STATISTICS = BANDS + 1
CLIP_STATISTICS = 3 * BANDS + 3
_FLOOR = 0.1
_QUIET = 0.3
_LUMA = (0.299, 0.587, 0.114)


def token_statistics(clips: Tensor, patch_px: int, tubelet: int) -> Tensor:
    """Per token: the log energy of each band of its patch's DCT, and the log difference of its frames.

    Args:
        clips: uint8 ``b t h w c``.
        patch_px: side of a token's patch.
        tubelet: frames of a token, at least 2.

    Returns:
        float ``b n 8``, tokens in the order of the patch embedding: time, row, column.
    """
    patches = _patches(_luma(clips), patch_px)
    b, t, h, w = patches.shape[:4]
    energy = _band_energy(patches, patch_px).reshape(b, t // tubelet, tubelet, h, w, BANDS).mean(dim=2)
    frames = patches.reshape(b, t // tubelet, tubelet, h, w, patch_px, patch_px)
    motion = frames.diff(dim=2).abs().mean(dim=(2, -2, -1))
    return torch.cat([energy, motion[..., None]], dim=-1).add(_FLOOR).log().flatten(1, 3)


def clip_statistics(clips: Tensor, patch_px: int) -> Tensor:
    """Per clip and band: log of the mean energy, mean of the log energy, share of quiet patches; then the log
    difference of neighbouring frames, mean and deviation of luma (in units of 20 levels).

    Args:
        clips: uint8 ``b t h w c``, at least two frames.
        patch_px: side of the patches whose DCT is taken.

    Returns:
        float ``b 24``.
    """
    luma = _luma(clips)
    energy = _band_energy(_patches(luma, patch_px), patch_px)
    everywhere = (1, 2, 3)
    per_band = [
        energy.mean(dim=everywhere).add(_FLOOR).log(),
        energy.add(_FLOOR).log().mean(dim=everywhere),
        (energy < _QUIET).float().mean(dim=everywhere) * 4.0,
    ]
    motion = luma.diff(dim=1).abs().mean(dim=everywhere).add(_FLOOR).log()
    others = [motion, luma.mean(dim=everywhere) / 20.0, luma.std(dim=everywhere) / 20.0]
    return torch.cat([*per_band, torch.stack(others, dim=1)], dim=1)


def _luma(clips: Tensor) -> Tensor:
    return clips.float() @ torch.tensor(_LUMA, device=clips.device)


def _patches(luma: Tensor, patch_px: int) -> Tensor:
    b, t, h, w = luma.shape
    split = luma.reshape(b, t, h // patch_px, patch_px, w // patch_px, patch_px)
    return split.transpose(3, 4)


def _band_energy(patches: Tensor, patch_px: int) -> Tensor:
    """Mean magnitude of the orthonormal DCT's coefficients in each band, ``… k``."""
    basis, bands = (constant.to(patches.device) for constant in _transform(patch_px))
    spectrum = (basis @ patches @ basis.T).abs()
    return spectrum.flatten(-2) @ bands


@cache
def _transform(patch_px: int) -> tuple[Tensor, Tensor]:
    """The DCT basis ``p p``, and the averaging over each band ``p² k``."""
    place = torch.arange(patch_px, dtype=torch.float32)
    basis = torch.cos(torch.pi * (2 * place[None] + 1) * place[:, None] / (2 * patch_px)) * (2 / patch_px) ** 0.5
    basis[0] /= 2**0.5
    radius = torch.hypot(place[:, None], place[None]).flatten()
    width = (patch_px - 1) / BANDS
    band = ((radius - 0.5) / width).floor().clamp(max=BANDS - 1)
    band[0] = -1
    member = (band[:, None] == torch.arange(BANDS)).float()
    return basis, member / member.sum(dim=0)
