"""Any image backbone of transformers, frame by frame, its feature maps pooled over positions and then over frames.

``architecture`` is a name that transformers' AutoBackbone or AutoModel knows (convnextv2, resnet, mobilenet_v2,
hgnet_v2, …); every stage's map, or the last state where there are no stages, is pooled to mean and deviation and
projected; frames are averaged, after a temporal transformer if asked. Weights come from a folder or a hub name
(``pretrained``), else they are random; standard error says which.

Ref: VSFA (Li, Jiang, Jiang, ACM MM 2019) for a pre-trained image network per frame with mean and deviation pooling.
Ours: pooling every stage, the mean over frames in place of a recurrent network, the small sizes, and what a backbone
that begins from nothing gets: a spectral stem in place of a patch embedding, and larger first values.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import torch
from huggingface_hub.errors import StrictDataclassError
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import AutoBackbone, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

from pipeline.core.errors import PipelineError, nearest
from pipeline.core.settings import Count, Section
from pipeline.students.shared.framewise import (
    FrameHead,
    SpectralStem,
    frames_as_batch,
    init_by_fan_in,
    init_dct_of_frames,
    is_patch_stem,
    mean_and_deviation,
    patch_side,
)
from pipeline.students.shared.output import StudentOutput
from pipeline.students.shared.pretrained import read_config, say_random, take_pretrained

PATCHES = (7, 8, 4)
"""Sides of a patch in px, for backbones that cut frames into patches, the best first."""
SMALL: dict[str, dict[str, Any]] = {
    "convnextv2": {"hidden_sizes": [40, 80, 128, 160], "depths": [2, 2, 2, 1], "patch_size": PATCHES[0]},
    "resnet": {"embedding_size": 24, "hidden_sizes": [24, 48, 96, 128], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    "mobilenet_v2": {"depth_multiplier": 0.35},
    "hgnet_v2": {
        "stem_channels": [3, 16, 24],
        "stage_in_channels": [24, 48, 80, 128],
        "stage_mid_channels": [16, 24, 32, 48],
        "stage_out_channels": [48, 80, 128, 192],
        "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [2, 2, 2, 2],
        "hidden_sizes": [48, 80, 128, 192],
        "depths": [1, 1, 1, 1],
    },
}
"""Sizes of ours for a default run on a CPU; other architectures begin with transformers' own sizes."""
MOST_MAPS = 4
_NOT_SIZES = {"architectures", "model_type", "dtype", "transformers_version", "id2label", "label2id"}
_MAP_NDIM, _RGB = 4, 3
_WHERE = "distill.options.backbone.pretrained"


class BackboneError(PipelineError):
    """A backbone that transformers does not know or cannot build."""


class Settings(Section):
    """``distill.options.backbone``."""

    architecture: str = "convnextv2"
    """transformers' name of the kind of model; set by ``pretrained`` where that is given."""
    config: dict[str, Any] | None = None
    """Its sizes, by transformers' names; null takes ours for a small default where there are some."""
    pretrained: str | None = None
    """A folder written by ``save_pretrained``, or a name on the Hugging Face hub; null begins from nothing."""
    width: Annotated[int, Field(ge=32, multiple_of=32)] = 128
    """Of the embedding."""
    temporal_depth: Annotated[int, Field(ge=0)] = 0
    """Blocks of the transformer over frames; 0 is their mean."""
    frame_stride: Count = 2
    """Use every n-th frame of a clip."""
    stem: Literal["spectral", "dct", "own"] | None = None
    """``spectral`` puts cosine spectra and their log power in place of a patch embedding; ``dct`` gives that one a
    cosine basis as first values. Null: ``spectral`` where a backbone that begins from nothing has a patch embedding,
    else its ``own``."""
    stem_channels: Count = 96
    """Filters of the spectral stem, at most as many as a patch has frequencies."""
    linear_init: Literal["fan_in", "own"] = "fan_in"
    """First values of layers that begin from nothing: a deviation of 1/√inputs, or the architecture's own."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pretrained is not None and self.stem not in (None, "own"):
            raise ValueError(f"stem {self.stem!r} would not use the first layer of 'pretrained'; set it to 'own'")
        return self


class Network(nn.Module):
    """A backbone over frames, pooling, and a head.

    Args:
        stem: what stands before the backbone.
        backbone: of transformers.
        channels: of each of its maps.
        settings: see `Settings`.
    """

    def __init__(self, stem: nn.Module, backbone: PreTrainedModel, channels: Sequence[int], settings: Settings) -> None:
        super().__init__()
        self.stem, self.backbone = stem, backbone
        self.frame_stride = settings.frame_stride
        self.project = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(2 * number), nn.Linear(2 * number, settings.width)) for number in channels
        )
        self.head = FrameHead(settings.width, settings.temporal_depth)

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Scores normalised pixels, float ``b c t h w``; ``layers`` are the pooled maps, shallow first."""
        frames, num_frames = frames_as_batch(pixels, self.frame_stride)
        maps = _maps(self.backbone, self.stem(frames))
        pooled = [project(mean_and_deviation(each)) for project, each in zip(self.project, maps, strict=True)]
        layers = torch.stack(pooled, dim=1)
        score, embedding = self.head(layers.mean(1), num_frames)
        return StudentOutput(score, embedding, layers=layers.unflatten(0, (-1, num_frames)).mean(1))


def resolve(settings: Settings, *, clip_shape: tuple[int, int, int, int], grid: int) -> Settings:
    """Settles the architecture and its sizes, so that a saved student is built without the file it began with.

    Patches of the small sizes are made to divide the fragments of a clip.

    Raises:
        BackboneError: transformers does not know the architecture.
        PretrainedError: there is no such folder or hub name.
    """
    if settings.pretrained is not None:
        found = read_config(settings.pretrained, _WHERE)
        return settings.model_copy(update={"architecture": found.model_type, "config": _plain(found.to_diff_dict())})
    if settings.architecture not in CONFIG_MAPPING:
        hint = nearest(settings.architecture, CONFIG_MAPPING.keys())
        raise BackboneError(
            f"distill.options.backbone.architecture: transformers knows no {settings.architecture!r}{hint}; those with "
            f"maps of every stage: {', '.join(sorted(config.model_type for config in MODEL_FOR_BACKBONE_MAPPING))}"
        )
    if settings.config is None:
        sizes = dict(SMALL.get(settings.architecture, {}))
        if "patch_size" in sizes:
            sizes["patch_size"] = patch_side(clip_shape[1] // grid, PATCHES)
        return settings.model_copy(update={"config": sizes})
    return settings


def build(settings: Settings, *, target_dim: int, clip_shape: tuple[int, int, int, int]) -> Network:
    """The network, with random values.

    Args:
        settings: see `Settings`.
        target_dim: width of the cached embedding; a projector, dropped on save, leads to it.
        clip_shape: of one clip, ``(t, h, w, c)``, square.

    Raises:
        BackboneError: transformers cannot build it, or it is no network for frames.
    """
    del target_dim
    if settings.config is None:
        settings = resolve(settings, clip_shape=clip_shape, grid=1)
    try:
        stem, backbone = _parts(settings, clip_shape[1])
        channels = _channels(stem, backbone, clip_shape[1])
    except (ValueError, TypeError, ImportError, RuntimeError, StrictDataclassError) as error:
        raise BackboneError(
            f"transformers cannot look at frames of {clip_shape[1]} px with {settings.architecture!r} and "
            f"{settings.config}: {error}; change distill.options.backbone.config, or take another architecture"
        ) from None
    return Network(stem, backbone, channels, settings)


def initialise(network: Network, settings: Settings) -> None:
    """Gives the network its first values, and says on standard error which.

    Raises:
        PretrainedError: the weights cannot be had, or are another network's.
    """
    if settings.pretrained is not None:
        take_pretrained(network.backbone, settings.pretrained, _WHERE)
        return
    if settings.linear_init == "fan_in":
        init_by_fan_in(network.backbone)
    first = _first_layer(network.backbone)
    if settings.stem == "dct" and isinstance(first, nn.Conv2d):
        init_dct_of_frames(first)
    say_random(network.backbone)


def _parts(settings: Settings, side: int) -> tuple[nn.Module, PreTrainedModel]:
    """The stem and the backbone alone, which gives the maps of its last stages where it has stages."""
    known, sizes = CONFIG_MAPPING[settings.architecture], dict(settings.config or {})
    if settings.pretrained is not None:
        return nn.Identity(), _bare(known(**sizes))
    sizes = _image_size(known, side) | sizes
    with torch.device("meta"):
        patch = _patch_side(_bare(known(**sizes)))
    if settings.stem in ("spectral", "dct") and not patch:
        raise ValueError(f"stem {settings.stem!r} is for a patch embedding, which it does not have; leave stem out")
    if settings.stem in ("dct", "own") or not patch:
        return nn.Identity(), _bare(known(**sizes))
    filters = min(settings.stem_channels, _RGB * patch**2)
    sizes |= {"patch_size": 1, "num_channels": 2 * filters} | _image_size(known, side // patch)
    return SpectralStem(filters, patch), _bare(known(**sizes))


def _image_size(known: type[PretrainedConfig], side: int) -> dict[str, Any]:
    """The setting of the frames' size as an architecture spells it; nothing where it needs none."""
    default = known().to_dict().get("image_size")
    if default is None:
        return {}
    return {"image_size": side if isinstance(default, int) else [side, side]}


def _bare(config: PretrainedConfig) -> PreTrainedModel:
    for name, value in vars(config).items():
        if isinstance(value, tuple):  # some backbones add a list to their default tuple of widths
            setattr(config, name, list(value))
    if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
        return AutoModel.from_config(config)
    stages = [name for name in config.stage_names if name != "stem"]
    config.set_output_features_output_indices(out_features=stages[-MOST_MAPS:], out_indices=None)
    return AutoBackbone.from_config(config)


def _first_layer(backbone: PreTrainedModel) -> nn.Module:
    return next(part for part in backbone.modules() if isinstance(part, nn.Conv2d | nn.Linear))


def _patch_side(backbone: PreTrainedModel) -> int | None:
    """Side of the patches that a backbone cuts frames into; None where it begins otherwise."""
    first = _first_layer(backbone)
    if not isinstance(first, nn.Conv2d) or not is_patch_stem(first):
        return None
    side = first.kernel_size[0]
    return side if getattr(backbone.config, "patch_size", None) == side else None


def _maps(backbone: PreTrainedModel, inputs: Tensor) -> Sequence[Tensor]:
    """Maps ``n c h w``, shallow first; tokens count as a map of one column."""
    output = backbone(pixel_values=inputs.contiguous(memory_format=torch.channels_last))
    if "feature_maps" in output:
        return tuple(output.feature_maps)
    state = output.last_hidden_state
    return (state if state.ndim == _MAP_NDIM else state.transpose(1, 2).unsqueeze(-1),)


@torch.no_grad()
def _channels(stem: nn.Module, backbone: PreTrainedModel, side: int) -> list[int]:
    """Channels of each map."""
    training = backbone.training
    maps = _maps(backbone.eval(), stem(torch.zeros(1, _RGB, side, side)))
    backbone.train(training)
    return [each.shape[1] for each in maps]


def _plain(sizes: dict[str, Any]) -> dict[str, Any]:
    """Without what belongs to the file rather than to the network."""
    return {key: value for key, value in sizes.items() if not key.startswith("_") and key not in _NOT_SIZES}
