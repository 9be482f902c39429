"""What students that look at each frame by itself share: frames as a batch, a small transformer, pooling, first values.

The transformer is a plain pre-norm one with fixed sinusoidal positions, so that it takes any number of tokens: weights
that were trained on one frame serve eight. All of it is ours.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.stem import StemError, init_dct

_VARIANCE_FLOOR = 1e-5


def frames_as_batch(pixels: Tensor, stride: int) -> tuple[Tensor, int]:
    """Lays chosen frames side by side in the batch.

    Args:
        pixels: ``b c t h w``.
        stride: distance of two chosen frames; the first is always chosen.

    Returns:
        ``(b·t') c h w``, a clip's frames next to each other, and ``t'``.
    """
    chosen = pixels[:, :, ::stride]
    return chosen.transpose(1, 2).flatten(0, 1), chosen.shape[2]


def mean_and_deviation(maps: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over positions: ``n c h w`` to ``n 2c``.

    Quality is as much how a response spreads over a frame as how strong it is.

    Ref: VSFA (Li, Jiang, Jiang, ACM MM 2019), global average and standard-deviation pooling.
    """
    mean = maps.mean((2, 3))
    variance = (maps - mean[:, :, None, None]).square().mean((2, 3))
    return torch.cat([mean, torch.sqrt(variance + _VARIANCE_FLOOR)], dim=1)


def patch_side(fragment_px: int, preferred: Sequence[int]) -> int:
    """A side for patches with which no patch lies on two fragments.

    Args:
        fragment_px: side of what comes from one place of the video, px; the clip's where it is one piece.
        preferred: sides in px, the best first.

    Returns:
        The first preferred side that divides the fragment, else its largest divisor below the largest preferred side.
    """
    fitting = [side for side in preferred if fragment_px % side == 0]
    return fitting[0] if fitting else max(side for side in range(1, max(preferred)) if fragment_px % side == 0)


class Transformer(nn.Module):
    """Pre-norm transformer over a few tokens.

    Args:
        width: of a token.
        depth: number of blocks; 0 gives tokens back as they are.
        num_heads: attention heads, a divisor of ``width``.
        positions: whether the order of the tokens matters; then sinusoids are added to them.
    """

    def __init__(self, width: int, depth: int, num_heads: int, *, positions: bool) -> None:
        super().__init__()
        self.positions = positions
        self.body = nn.ModuleList(_Block(width, num_heads) for _ in range(depth))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes tokens, ``n k width``, into tokens of the same shape."""
        if self.positions and len(self.body):
            tokens = tokens + sinusoids(tokens.shape[1], tokens.shape[2]).to(tokens)
        for block in self.body:
            tokens = block(tokens)
        return tokens


class _Block(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm1(tokens)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.proj(mixed.transpose(1, 2).flatten(2))
        return tokens + self.fc2(F.gelu(self.fc1(self.norm2(tokens))))


class FrameHead(nn.Module):
    """From a vector per frame to a clip's embedding and score.

    Args:
        width: of a frame's vector and of the embedding, a multiple of 16 where ``depth`` is above 0.
        depth: blocks of the transformer over frames; 0 leaves their mean.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.temporal = Transformer(width, depth, max(width // 32, 1), positions=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.constant_(self.head.bias, 0.5)

    def forward(self, vectors: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
        """Scores clips.

        Args:
            vectors: ``b·t width``, as `frames_as_batch` lays frames out.
            num_frames: ``t``.

        Returns:
            Scores ``b`` and embeddings ``b width``.
        """
        embedding = self.norm(self.temporal(vectors.unflatten(0, (-1, num_frames))).mean(1))
        return self.head(embedding).squeeze(-1), embedding


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed positions, float32 ``length width``: sines in the first half of the channels, cosines in the second."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(width // 2) / max(width // 2 - 1, 1))
    angles = torch.arange(length)[:, None] * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2))


class SpectralStem(nn.Module):
    """Patches as cosine spectra and the logarithms of their power: ``n 3 h w`` to ``n 2·channels h/p w/p``.

    Compression shows in how much power is left at a frequency, over several orders of magnitude; a network without the
    logarithm spends a short training on finding it. The filters train like any others.

    Args:
        channels: number of filters, lowest frequencies of luma and chroma first.
        patch_size: side of a patch, px.
    """

    _POWER_FLOOR = 1e-2

    def __init__(self, channels: int, patch_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, patch_size, stride=patch_size)
        init_dct_of_frames(self.conv)

    def forward(self, frames: Tensor) -> Tensor:
        """Analyses normalised frames."""
        spectrum = self.conv(frames)
        return torch.cat([spectrum, 0.5 * torch.log(spectrum.square() + self._POWER_FLOOR)], dim=1)


def is_patch_stem(conv: nn.Conv2d) -> bool:
    """Whether a convolution cuts RGB frames into patches that do not overlap."""
    return conv.in_channels == 3 and conv.groups == 1 and conv.kernel_size == conv.stride and conv.padding == (0, 0)


@torch.no_grad()
def init_dct_of_frames(conv: nn.Conv2d) -> None:
    """Gives a patch stem of frames the first values of `pipeline.models.stem.init_dct`.

    Raises:
        StemError: the convolution is no patch stem on RGB.
    """
    if not is_patch_stem(conv):
        raise StemError(
            f"got a convolution of {conv.in_channels} channels, kernel {conv.kernel_size}, stride {conv.stride}; "
            "expected 3 RGB channels and stride = kernel"
        )
    height, width = conv.kernel_size
    cubes = nn.Conv3d(3, conv.out_channels, (1, height, width), stride=(1, height, width))
    init_dct(cubes)
    conv.weight.copy_(cubes.weight[:, :, 0])
    if conv.bias is not None:
        conv.bias.zero_()


@torch.no_grad()
def init_by_fan_in(module: nn.Module) -> None:
    """Draws the weights of every linear layer and convolution below ``module`` anew, with a deviation of 1/√inputs.

    The usual 0.02 suits wide models; narrow ones then say next to nothing for a whole short training.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d):
            deviation = part.weight[0].numel() ** -0.5
            nn.init.trunc_normal_(part.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if part.bias is not None:
                part.bias.zero_()
