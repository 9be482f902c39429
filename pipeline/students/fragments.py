"""A small FAST-VQA: attention in windows of space and time over fragments, aware of which fragment a token is from.

Made for ``fragments`` views: a grid of patches, each cut at native resolution, so that neighbours across a border are
far apart in the picture. Tokens never span two fragments, and attention adds one learnt bias per offset where both
tokens are of one fragment and another where they are not (*gated relative position bias*). The score is regressed at
every token first and averaged then (*intra-patch non-linear regression*). The reference for efficiency: among the
students of the default sizes it takes the fewest operations on the default view.

Ref: FAST-VQA (Wu et al., ECCV 2022, arXiv 2207.02595): fragments, the gated bias, the order of regression and pooling.
Ours: one stage of two widths in place of Swin-T's four, windows that alternate by half a window without masks (the
    tokens at the edges meet the other edge, as the bias shows), the spectral stem, tubelets of two frames, all sizes.
Left out: weights from Kinetics-400, four clips per video.
"""

from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.core.errors import PipelineError
from pipeline.core.settings import Count, Section
from pipeline.students.shared.framewise import SpectralStem, frames_as_batch, init_by_fan_in, patch_side
from pipeline.students.shared.output import StudentOutput

GRID, PATCHES = 4, (7, 8, 4)
"""Fragments per side where nothing says it; sides of a token in px, the best first."""
_WINDOWS = (4, 5, 6, 7, 8, 3, 2)


class FragmentsError(PipelineError):
    """Clips that this student's patches and windows do not divide."""


class Settings(Section):
    """``distill.options.fragments``."""

    grid: Count | None = None
    """Fragments per side of a clip; null takes the view set's."""
    patch_size: Count | None = None
    """Side of a token in the first stage, px; a fragment is a whole number of them. Null takes 7, 8, 4 or what divides
    a fragment."""
    frame_stride: Count = 2
    """Use every n-th frame of a clip."""
    stem_channels: Count = 48
    """Filters of the spectral stem, at most as many as a patch has frequencies."""
    widths: Annotated[list[Count], Field(min_length=1)] = Field([32, 64])
    """Width of the tokens in each stage; between two stages, 2 × 2 tokens become one."""
    depths: Annotated[list[Count], Field(min_length=1)] = Field([2, 2])
    """Blocks of each stage."""
    num_heads: Annotated[list[Count], Field(min_length=1)] = Field([2, 4])
    """Attention heads of each stage."""
    window: Count | None = None
    """Side of an attention window, tokens; it has every frame. Null takes, in each stage, what divides its side: 4 if
    possible, else 5 to 8, 3, 2, or all of it."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.widths) == len(self.depths) == len(self.num_heads):
            raise ValueError(
                f"widths {self.widths}, depths {self.depths} and num_heads {self.num_heads} must have one number for "
                "each stage"
            )
        if any(width % heads for width, heads in zip(self.widths, self.num_heads, strict=True)):
            raise ValueError(f"widths {self.widths} must be multiples of num_heads {self.num_heads}")
        return self


class Network(nn.Module):
    """Spectral stem, stages of windowed attention, regression at every token.

    Args:
        settings: see `Settings`.
        num_frames: that are looked at.
        side: tokens per side in the first stage.
    """

    def __init__(self, settings: Settings, num_frames: int, side: int) -> None:
        super().__init__()
        self.frame_stride = settings.frame_stride
        grid, patch = settings.grid or GRID, settings.patch_size or PATCHES[0]
        filters = min(settings.stem_channels, 3 * patch**2)
        self.stem = SpectralStem(filters, patch)
        self.embed = nn.Linear(2 * filters, settings.widths[0])
        self.merge = nn.ModuleList(
            nn.Linear(4 * narrow, wide) for narrow, wide in zip(settings.widths[:-1], settings.widths[1:], strict=True)
        )
        self.stages = nn.ModuleList()
        for stage, (width, depth, heads) in enumerate(
            zip(settings.widths, settings.depths, settings.num_heads, strict=True)
        ):
            here = side // 2**stage
            window = _window(settings, here)
            self.stages.append(
                nn.Sequential(
                    *(
                        _Block(width, heads, _Windows(num_frames, here, window, here // grid, shift))
                        for shift in _shifts(depth, window, here)
                    )
                )
            )
        last = settings.widths[-1]
        self.regress = nn.Sequential(nn.LayerNorm(last), nn.Linear(last, 2 * last), nn.GELU())
        self.head = nn.Linear(2 * last, 1)

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Scores normalised pixels, float ``b c t h w``; the score is the mean of its tokens' scores."""
        frames, num_frames = frames_as_batch(pixels, self.frame_stride)
        tokens = self.embed(self.stem(frames).permute(0, 2, 3, 1)).unflatten(0, (-1, num_frames))
        for number, stage in enumerate(self.stages):
            if number:
                tokens = self.merge[number - 1](_two_by_two(tokens))
            tokens = stage(tokens)
        hidden = self.regress(tokens)
        embedding = hidden.mean((1, 2, 3))
        return StudentOutput(self.head(embedding).squeeze(-1), embedding, tokens=hidden)


def resolve(settings: Settings, *, clip_shape: tuple[int, int, int, int], grid: int) -> Settings:
    """Settles fragments and patches by the clips."""
    number = settings.grid or grid
    finest = clip_shape[1] // number // 2 ** (len(settings.widths) - 1)
    patch = settings.patch_size or patch_side(max(finest, 1), PATCHES)
    return settings.model_copy(update={"grid": number, "patch_size": patch})


def build(settings: Settings, *, target_dim: int, clip_shape: tuple[int, int, int, int]) -> Network:
    """The network, with random values.

    Args:
        settings: see `Settings`.
        target_dim: width of the cached embedding; a projector, dropped on save, leads to it.
        clip_shape: of one clip, ``(t, h, w, c)``, square.

    Raises:
        FragmentsError: fragments, patches and windows do not divide the clip.
    """
    del target_dim
    num_frames, height, width, _ = clip_shape
    grid, patch = settings.grid or GRID, settings.patch_size or PATCHES[0]
    coarsest = grid * patch * 2 ** (len(settings.widths) - 1)
    if height != width or height % coarsest:
        raise FragmentsError(
            f"the student 'fragments' got clips of {height} x {width} px; with a grid of {grid}, patches of "
            f"{patch} px and {len(settings.widths)} stages it takes squares of a multiple of {coarsest} "
            "px; change distill.options.fragments (grid must be the view set's)"
        )
    side = height // patch
    for stage in range(len(settings.widths)):
        here = side // 2**stage
        if here % _window(settings, here):
            raise FragmentsError(
                f"stage {stage + 1} has {here} x {here} tokens, which windows of {settings.window} do not divide; "
                "change distill.options.fragments.window"
            )
    return Network(settings, -(-num_frames // settings.frame_stride), side)


def initialise(network: Network, settings: Settings) -> None:
    """Gives the layers after the stem values of deviation 1/√inputs, and the score 0.5."""
    del settings
    for part in (network.embed, network.merge, network.stages, network.regress):
        init_by_fan_in(part)
    nn.init.normal_(network.head.weight, std=1e-3)
    nn.init.constant_(network.head.bias, 0.5)


class _Windows:
    """How a grid of tokens is cut into windows of all frames, and which bias each pair of a window's tokens gets.

    Args:
        num_frames: frames of the grid.
        side: tokens per side.
        window: tokens per side of a window.
        fragment: tokens per side of a fragment.
        shift: by how many tokens the grid is rolled before it is cut.
    """

    def __init__(self, num_frames: int, side: int, window: int, fragment: int, shift: int) -> None:
        self.side, self.window, self.shift = side, window, shift
        span = 2 * window - 1
        self.num_offsets = (2 * num_frames - 1) * span * span
        frame, row, column = (
            axis.ravel() for axis in np.meshgrid(np.arange(num_frames), *[np.arange(window)] * 2, indexing="ij")
        )
        offset = [axis[:, None] - axis[None, :] for axis in (frame, row, column)]
        index = ((offset[0] + num_frames - 1) * span + offset[1] + window - 1) * span + offset[2] + window - 1
        corners = np.arange(0, side, window)
        rows = (corners[:, None, None] + row + shift) % side // fragment
        columns = (corners[None, :, None] + column + shift) % side // fragment
        fragments = (rows * side + columns).reshape(-1, len(row))
        across = fragments[:, :, None] != fragments[:, None, :]
        entries = index + self.num_offsets * across
        if (entries == entries[0]).all():
            entries = entries[:1]
        self.entries = entries
        """int64 ``n k k``: the row of the bias table for each pair of tokens; n is 1 where all windows are alike."""

    def cut(self, tokens: Tensor) -> Tensor:
        """``b t h w c`` to ``b n k c``: n windows of k tokens."""
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (2, 3))
        split = tokens.unflatten(3, (-1, self.window)).unflatten(2, (-1, self.window))
        return split.permute(0, 2, 4, 1, 3, 5, 6).flatten(3, 5).flatten(1, 2)

    def join(self, windows: Tensor, num_frames: int) -> Tensor:
        """The inverse of `cut`."""
        per_side = self.side // self.window
        split = windows.unflatten(2, (num_frames, self.window, self.window)).unflatten(1, (per_side, per_side))
        tokens = split.permute(0, 3, 1, 4, 2, 5, 6).flatten(4, 5).flatten(2, 3)
        return tokens.roll((self.shift, self.shift), (2, 3)) if self.shift else tokens


class _Block(nn.Module):
    """Attention within windows with a gated relative position bias, and an MLP; ``b t h w c`` to the same."""

    def __init__(self, width: int, num_heads: int, windows: _Windows) -> None:
        super().__init__()
        self.num_heads, self.windows = num_heads, windows
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.bias_table = nn.Parameter(torch.zeros(2 * windows.num_offsets, num_heads))

    def forward(self, tokens: Tensor) -> Tensor:
        cut = self.windows.cut(self.norm1(tokens))
        query, key, value = self.qkv(cut).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        entries = torch.as_tensor(self.windows.entries, device=tokens.device)
        bias = F.embedding(entries, self.bias_table).permute(0, 3, 1, 2)
        weights = torch.softmax(query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5 + bias, dim=-1)
        mixed = self.proj((weights @ value).transpose(2, 3).flatten(3))
        tokens = tokens + self.windows.join(mixed, tokens.shape[1])
        return tokens + self.fc2(F.gelu(self.fc1(self.norm2(tokens))))


def _window(settings: Settings, side: int) -> int:
    """Side of a window in a stage of so many tokens."""
    if settings.window is not None:
        return min(settings.window, side)
    return next((window for window in _WINDOWS if side % window == 0), side)


def _shifts(depth: int, window: int, side: int) -> list[int]:
    """Of each block: every second one by half a window, where there is more than one window."""
    return [window // 2 if number % 2 and side > window else 0 for number in range(depth)]


def _two_by_two(tokens: Tensor) -> Tensor:
    """Four neighbours as one token: ``b t h w c`` to ``b t h/2 w/2 4c``."""
    split = tokens.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return split.permute(0, 1, 2, 4, 3, 5, 6).flatten(4, 6)
