"""Swin V2 per frame, its stages fused by transformer layers, a temporal transformer over frames; coarse to fine.

*Spatial part*: each stage's map becomes one token (mean and deviation over positions); transformer layers fuse the
tokens of a frame. *Temporal part*: a transformer over the frames' vectors, then their mean. *Coarse to fine* are the
losses ``group_contrastive`` (groups of bitrates or quality levels apart) and ``group_ranking`` (order within a group),
weighted in ``distill.losses`` beside ``mos_regression``.

*Two phases*: nothing in it depends on the number of frames, so the spatial part can be trained on still images first,
several sets at once: ``prepare.dataset: combined``, a view set of one frame (``num_frames: 1``, ``render.short:
repeat`` for a teacher of more), ``distill.view_set`` that one. Copy the trained folder, and name it in
``distill.initial`` of the run on videos.

Ref: "Video Quality Assessment Based on Swin Transformer V2 and Coarse to Fine Strategy" (arXiv 2401.08522). Its text
    gives the parts above, not their sizes or formulas. Ours: a token per stage by mean and deviation, widths and
    depths of both transformers, sinusoidal positions, the mean over frames, every second frame, a line for each of
    several image sets (`projection.py`), both losses' formulas, ``small``, and its spectral stem, without
    which a training of minutes from nothing learns little. Left out: weights from ImageNet; ``pretrained`` takes them
    where there are some.
"""

from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import Swinv2Backbone, Swinv2Config

from pipeline.core.settings import Count, Section
from pipeline.students.shared.framewise import (
    FrameHead,
    SpectralStem,
    Transformer,
    frames_as_batch,
    init_dct_of_frames,
    mean_and_deviation,
    patch_side,
)
from pipeline.students.shared.output import StudentOutput
from pipeline.students.shared.pretrained import say_random, take_pretrained

PATCHES = (7, 8, 4)
"""Sides of a token of ``small`` in px, the best first."""
_T: dict[str, Any] = {
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "patch_size": 4,
    "window_size": 8,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "small": {"embed_dim": 32, "depths": [2, 2, 2], "num_heads": [2, 4, 8], "patch_size": PATCHES[0], "window_size": 8},
    "T": _T,
    "S": _T | {"depths": [2, 2, 18, 2]},
    "B": _T | {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]},
}
"""Swin V2's sizes at 256 px, and a small one of ours for a default run on a CPU."""
_RGB = 3


class Settings(Section):
    """``distill.options.swinv2_c2f``."""

    variant: Literal["small", "T", "S", "B"] = "small"
    embed_dim: Count | None = None
    """Width of the first stage's tokens; null takes the variant's, here and below."""
    depths: Annotated[list[Count], Field(min_length=1)] | None = None
    """Blocks of each stage."""
    num_heads: Annotated[list[Count], Field(min_length=1)] | None = None
    """Attention heads of each stage."""
    patch_size: Count | None = None
    """Side of a token in the first stage, px; null takes for ``small`` 7, 8, 4 or what divides the view's fragments."""
    window_size: Count | None = None
    """Side of an attention window, tokens."""
    stem: Literal["spectral", "dct", "own"] | None = None
    """``spectral`` puts cosine spectra and their log power in place of Swin's patch embedding; ``dct`` gives that one a
    cosine basis as first values, ``own`` random ones. Null: ``spectral``, or ``own`` with ``pretrained``."""
    stem_channels: Count = 96
    """Filters of the spectral stem, at most as many as a patch has frequencies."""
    width: Annotated[int, Field(ge=32, multiple_of=32)] = 128
    """Of the fused tokens and of the embedding."""
    fusion_depth: Count = 1
    """Transformer layers over a frame's stages."""
    temporal_depth: Annotated[int, Field(ge=0)] = 1
    """Transformer layers over frames; 0 leaves their mean."""
    frame_stride: Count = 2
    """Use every n-th frame of a clip."""
    drop_path_rate: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    pretrained: str | None = None
    """Swin V2 weights of the variant: a folder written by ``save_pretrained``, or a name on the Hugging Face hub."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        sizes = self.sizes()
        depths, num_heads = sizes["depths"], sizes["num_heads"]
        if len(depths) != len(num_heads):
            raise ValueError(f"depths {depths} and num_heads {num_heads} must have one number for each stage")
        widths = [sizes["embed_dim"] * 2**stage for stage in range(len(depths))]
        if any(width % heads for width, heads in zip(widths, num_heads, strict=True)):
            raise ValueError(f"the stages' widths {widths} must be multiples of num_heads {num_heads}")
        if self.pretrained is not None and self.stem not in (None, "own"):
            raise ValueError(f"stem {self.stem!r} would not use the patch embedding of 'pretrained'; set it to 'own'")
        return self

    def sizes(self) -> dict[str, Any]:
        """The variant's sizes, with those that are given."""
        given = {name: value for name in VARIANTS["small"] if (value := getattr(self, name)) is not None}
        return VARIANTS[self.variant] | given

    def first_layer(self) -> str:
        """The stem that is meant."""
        return self.stem or ("spectral" if self.pretrained is None else "own")


class Network(nn.Module):
    """Swin V2 over frames, fusion of its stages, a temporal transformer, a one-output head."""

    def __init__(self, settings: Settings, clip_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.frame_stride = settings.frame_stride
        self.stem, config = _stem_and_config(settings, clip_shape)
        self.swin = Swinv2Backbone(config)
        self.to_token = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(2 * channels), nn.Linear(2 * channels, settings.width))
            for channels in self.swin.channels
        )
        self.frame_token = nn.Parameter(0.02 * torch.randn(1, 1, settings.width))
        self.stage_embedding = nn.Parameter(0.02 * torch.randn(1, len(self.to_token), settings.width))
        self.fusion = Transformer(settings.width, settings.fusion_depth, settings.width // 32, positions=False)
        self.head = FrameHead(settings.width, settings.temporal_depth)

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Scores normalised pixels, float ``b c t h w``; ``layers`` are the stages' tokens, shallow first."""
        frames, num_frames = frames_as_batch(pixels, self.frame_stride)
        maps = self.swin(self.stem(frames)).feature_maps
        stages = [to_token(mean_and_deviation(each)) for to_token, each in zip(self.to_token, maps, strict=True)]
        tokens = torch.stack(stages, dim=1) + self.stage_embedding
        fused = self.fusion(torch.cat([self.frame_token.expand(tokens.shape[0], -1, -1), tokens], dim=1))
        score, embedding = self.head(fused[:, 0], num_frames)
        return StudentOutput(score, embedding, layers=tokens.unflatten(0, (-1, num_frames)).mean(1))


def resolve(settings: Settings, *, clip_shape: tuple[int, int, int, int], grid: int) -> Settings:
    """Settles the patches of the small variant by the clips; the others have the published ones."""
    if settings.patch_size is not None or settings.variant != "small" or settings.pretrained is not None:
        return settings
    return settings.model_copy(update={"patch_size": patch_side(clip_shape[1] // grid, PATCHES)})


def build(settings: Settings, *, target_dim: int, clip_shape: tuple[int, int, int, int]) -> Network:
    """The network, with random values.

    Args:
        settings: see `Settings`.
        target_dim: width of the cached embedding; a projector, dropped on save, leads to it.
        clip_shape: of one clip, ``(t, h, w, c)``; any number of frames.
    """
    del target_dim
    return Network(settings, clip_shape)


def initialise(network: Network, settings: Settings) -> None:
    """Gives Swin V2 its first values, and says on standard error which.

    Raises:
        PretrainedError: the weights cannot be had, or are of other sizes.
    """
    if settings.pretrained is not None:
        take_pretrained(network.swin, settings.pretrained, "distill.options.swinv2_c2f.pretrained")
        return
    if settings.first_layer() == "dct":
        init_dct_of_frames(network.swin.embeddings.patch_embeddings.projection)
    say_random(network.swin)


def _stem_and_config(settings: Settings, clip_shape: tuple[int, int, int, int]) -> tuple[nn.Module, Swinv2Config]:
    """What stands before Swin V2, and Swin V2's sizes behind it."""
    sizes, (_, height, width, _) = settings.sizes(), clip_shape
    patch, channels = sizes.pop("patch_size"), _RGB
    stem: nn.Module = nn.Identity()
    if settings.first_layer() == "spectral":
        filters = min(settings.stem_channels, _RGB * patch**2)
        stem, channels = SpectralStem(filters, patch), 2 * filters
        height, width, patch = height // patch, width // patch, 1
    config = Swinv2Config(
        **sizes,
        image_size=(height, width),
        patch_size=patch,
        num_channels=channels,
        drop_path_rate=settings.drop_path_rate,
        out_features=[f"stage{number}" for number in range(1, len(sizes["depths"]) + 1)],
    )
    return stem, config
