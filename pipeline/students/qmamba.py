"""Q-Mamba: a hierarchical state-space model that scans each frame through local windows, in four orders.

Frames are looked at one by one; mean and deviation of the last features over a frame's positions, averaged over the
frames, are the embedding. Used in three ways: for one data set; *universally*, for several at once (a ``combined`` data
set: one score, and a line per set in training that gives way to the set's own calibration); *transferably*, with
``distill.initial`` naming a trained folder, ``num_prompts: 8`` and ``tune: style_prompt``: then the prompts and their
small layers train, a few per cent of the parameters, and everything else stays as it was, bit for bit.

Ref: Q-Mamba (arXiv 2406.09546), an image model; T, S and B have its widths and, within 10 %, its parameters. Unknown
there and ours: depths, windows, states, heads divided among the orders (`shared/qmamba/scan.py`), places and
number of the prompts, pooling over positions and time, and the spectral stem, without which a training of minutes from
nothing learns little. Left out: its weights from ImageNet, and its regression to quality levels by text.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.core.settings import Count, Section
from pipeline.students.shared.framewise import frames_as_batch, mean_and_deviation
from pipeline.students.shared.model import take_values
from pipeline.students.shared.output import StudentOutput
from pipeline.students.shared.qmamba import VARIANTS, VisionMamba

_PROMPTS = "body.style."


class Settings(Section):
    """``distill.options.qmamba``."""

    variant: Literal["small", "T", "S", "B"] = "small"
    width: Annotated[int, Field(ge=4, multiple_of=4)] | None = None
    """Of the first stage's tokens; null takes the variant's."""
    depths: Annotated[list[Count], Field(min_length=1)] | None = None
    """Blocks of each stage; null takes the variant's."""
    patch_size: Annotated[int, Field(ge=2)] | None = None
    """In px; null takes the variant's."""
    window: Count | None = None
    """Side of a window, in tokens; null takes the variant's."""
    frame_stride: Count = 2
    """Distance between the frames that are looked at; neighbours say much the same."""
    num_prompts: Annotated[int, Field(ge=0)] = 0
    """Style prompts after each stage; 0 has none."""
    tune: Literal["all", "style_prompt"] = "all"
    """What trains; ``style_prompt`` leaves all but the prompts and their layers as ``distill.initial`` has them."""

    @model_validator(mode="after")
    def _has_what_it_tunes(self) -> Self:
        if self.tune == "style_prompt" and self.num_prompts == 0:
            raise ValueError("tune is 'style_prompt' and num_prompts is 0, so nothing would train; give it, say, 8")
        return self


class Network(nn.Module):
    """Frames one by one, pooled over positions and time, with a one-output head."""

    def __init__(self, body: VisionMamba, frame_stride: int) -> None:
        super().__init__()
        self.body, self.frame_stride = body, frame_stride
        self.norm = nn.LayerNorm(2 * body.width)
        self.head = nn.Linear(2 * body.width, 1)

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Scores normalised pixels, float ``b c t h w``."""
        frames, num_frames = frames_as_batch(pixels, self.frame_stride)
        maps = self.body(frames)
        pooled = mean_and_deviation(maps.permute(0, 3, 1, 2)).unflatten(0, (-1, num_frames)).mean(1)
        embedding = self.norm(pooled)
        return StudentOutput(
            score=self.head(embedding).squeeze(-1),
            embedding=embedding,
            tokens=maps.unflatten(0, (-1, num_frames)),
        )


def build(settings: Settings, *, target_dim: int, clip_shape: tuple[int, int, int, int]) -> Network:
    """The network; it takes frames of any size, and its embedding has a width of its own.

    Args:
        settings: see `Settings`.
        target_dim: not used: training projects the embedding to the teacher's width.
        clip_shape: not used.
    """
    del target_dim, clip_shape
    named = {name: getattr(settings, name) for name in ("width", "depths", "patch_size", "window")}
    chosen: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if "depths" in chosen:
        chosen["depths"] = tuple(chosen["depths"])
    sizes = replace(VARIANTS[settings.variant], **chosen)
    return Network(VisionMamba(sizes, settings.num_prompts), settings.frame_stride)


@torch.no_grad()
def initialise(network: Network, settings: Settings) -> None:
    """Gives the network its first values; the prompts have theirs, with which they change nothing."""
    del settings
    network.body.init_fan_in()
    nn.init.normal_(network.head.weight, std=1e-3)
    nn.init.constant_(network.head.bias, 0.5)


def begin_from(network: Network, settings: Settings, weights: Mapping[str, Tensor]) -> None:
    """Takes a trained network's values; its prompts may be missing. Fixes what is not tuned.

    Raises:
        StudentError: the values are of another network.
    """
    take_values(network, weights, new=_PROMPTS)
    if settings.tune == "style_prompt":
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(_PROMPTS))
