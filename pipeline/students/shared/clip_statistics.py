"""What the pixels of a clip are like, in a few numbers that no network had to learn."""

import numpy as np
from scipy import fft

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
BLOCK_PX = 8
NUM_STATISTICS = BLOCK_PX**2 + 5


def clip_statistics(clip: np.ndarray) -> np.ndarray:
    """Statistics of one clip's pixels.

    The logarithm of the mean magnitude of each of the 64 DCT coefficients of 8×8 luma blocks, mean and deviation of
    luma, mean difference of neighbours within and across block borders, mean difference of frames.

    Args:
        clip: uint8, shape ``(t, h, w, c)``, at least 8 px a side.

    Returns:
        float64, shape ``(69,)``.
    """
    luma = clip.astype(np.float32) @ _LUMA
    height, width = (size // BLOCK_PX * BLOCK_PX for size in luma.shape[1:])
    luma = luma[:, :height, :width]
    blocks = luma.reshape(len(luma), height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    spectrum = np.log(np.abs(fft.dctn(blocks, axes=(2, 4), norm="ortho")).mean(axis=(0, 1, 3)) + 1e-2)
    steps = np.abs(np.diff(luma, axis=2)).mean(axis=(0, 1))
    at_border = np.arange(1, width) % BLOCK_PX == 0
    between_frames = float(np.abs(np.diff(luma, axis=0)).mean()) if len(luma) > 1 else 0.0
    inside, across = float(steps[~at_border].mean()), float(steps[at_border].mean()) if at_border.any() else 0.0
    others = [float(luma.mean()), float(luma.std()), np.log(inside + 1e-2), across - inside, between_frames]
    return np.concatenate([spectrum.ravel(), others]).astype(np.float64)
