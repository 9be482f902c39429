"""The homologous student of InternVQA: a smaller InternVideo2 whose pooled embedding is as wide as the teacher's.

The head is attention pooling → LayerNorm → dropout → Linear(·, 1); what the feature losses see is the vector after the
LayerNorm (``fc_norm``). Because every size pools to the teacher's width, no projector is needed. ``S14``, ``B14`` and
``L14`` are the official sizes; ``small`` is ours, for a default run on a CPU.

Ref: InternVQA (arXiv 2502.19026). Left out: its training-time colour and scale augmentation, which changes quality.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from pipeline.core.settings import Count, Section
from pipeline.models.internvideo2 import VARIANTS, InternVideo2, InternVideo2Config, load_checkpoint, stored_config
from pipeline.models.internvideo2.blocks import Mlp
from pipeline.models.stem import init_dct
from pipeline.students.shared.framewise import patch_side
from pipeline.students.shared.output import StudentOutput

SMALL: dict[str, Any] = {"embed_dim": 96, "depth": 4, "num_heads": 4, "mlp_ratio": 4.0}
_OFFICIAL_POOL_HEADS, _SMALL_POOL_HEADS = 16, 8
PATCHES = (14, 16, 8)
"""Sides of a token in px, the best first."""
_OF_CHECKPOINT = ("embed_dim", "depth", "num_heads", "pool_num_heads", "patch_size", "tubelet_size")
"""What a folder says of its weights, and the settings of the same names that take it."""
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(Section):
    """``distill.options.internvideo2``."""

    variant: Literal["small", "S14", "B14", "L14"] = "small"
    embed_dim: Count | None = None
    """Width of the tokens, a multiple of 16; null takes the variant's."""
    depth: Count | None = None
    """Blocks; null takes the variant's. Fewer than ``checkpoint`` has: its first ones."""
    num_heads: Count | None = None
    """Attention heads; null takes the variant's."""
    pool_num_heads: Count | None = None
    """Heads of the attention pooling. Null takes 16, as officially, with ``checkpoint`` or an official variant, else 8.
    No shape depends on it, so a file cannot tell."""
    patch_size: Count | None = None
    """Side of a token in px. Null takes 14, the official one, where it divides the view's fragments, else 16, 8 or
    what does; 14 with ``checkpoint``."""
    tubelet_size: Count | None = None
    """Frames that one token covers. Null takes 1, as officially, with ``checkpoint``; else 2, or 1 where the frames are
    odd."""
    layerscale_init: Annotated[float, Field(ge=0.0)] = 0.5
    """Initial LayerScale; 0 means none. The official models have 1e-5."""
    token_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the tokens that a training step sees, drawn anew each step; scoring sees all."""
    drop_path_rate: Rate = 0.0
    head_dropout: Rate = 0.0
    checkpoint: str | None = None
    """A file or folder to begin with: an official distilled checkpoint, or the teacher's own weights, of which a
    smaller ``depth`` takes the first blocks (as DistilBERT begins, arXiv 1910.01108). Its head is replaced. Sizes that
    are null are those of the folder's ``config.json``, where it has one. Null begins from nothing."""
    stem: Literal["dct_spread", "dct", "random"] = "dct_spread"
    """First values of the patch embedding when it begins from nothing: a DCT basis of frequencies from the whole range,
    or of the lowest."""
    linear_init: Literal["fan_in", "official"] = "fan_in"
    """First values of the blocks when it begins from nothing: deviations of 1/√inputs and 0.5 for the biases before the
    GELU, or 0.02 and 0 as officially, which suits wide models and long trainings. At a width of 96 the blocks then
    are all but linear at first, and blind to the energy of a frequency band."""

    @field_validator("linear_init", mode="before")
    @classmethod
    def _of_older_models(cls, value: object) -> object:
        return "fan_in" if value == "lively" else value  # its name in models of version 0.1.0


class Network(nn.Module):
    """InternVideo2 with a one-output head.

    Args:
        config: of the encoder.
        token_share: share of the tokens that a training step sees. Fragments are independent looks at one video, so
            half of them tell nearly as much, for half of the cost; ours, as in "PatchDropout" (arXiv 2208.07220).
    """

    def __init__(self, config: InternVideo2Config, token_share: float = 1.0) -> None:
        super().__init__()
        self.encoder = InternVideo2(config)
        self._token_share = token_share
        self._all_blocks = tuple(range(config.depth))

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Scores normalised pixels, float ``b c t h w``; tokens that a training step did not see are 0."""
        encoder = self.encoder
        output = encoder(pixels, layers=self._all_blocks, token_share=self._token_share if self.training else 1.0)
        grid, tokens, seen = encoder.config.grid, output.tokens[:, 1:], output.seen
        if seen is not None:
            count = encoder.config.num_patches
            tokens = tokens.new_zeros(len(tokens), count, tokens.shape[-1]).index_copy(1, seen, tokens)
            mask = torch.zeros(count, dtype=torch.bool, device=seen.device).index_fill(0, seen, True)
        return StudentOutput(
            score=output.logits.squeeze(-1),
            embedding=output.embedding_normed,
            layers=output.layers,
            tokens=tokens.unflatten(1, grid),
            seen=None if seen is None else mask.unflatten(0, grid),
        )


def resolve(settings: Settings, *, clip_shape: tuple[int, int, int, int], grid: int) -> Settings:
    """Settles sizes by what the checkpoint's folder says of itself, and sides of a token by what divides the clips.

    Raises:
        CheckpointError: the folder's ``config.json`` is not JSON.
    """
    official = settings.checkpoint is not None
    if settings.checkpoint is not None and (stored := stored_config(Path(settings.checkpoint))) is not None:
        null = [name for name in _OF_CHECKPOINT if getattr(settings, name) is None]
        settings = settings.model_copy(update={name: getattr(stored, name) for name in null})
    patch = PATCHES[0] if official else patch_side(clip_shape[1] // grid, PATCHES)
    heads = _OFFICIAL_POOL_HEADS if official or settings.variant != "small" else _SMALL_POOL_HEADS
    return settings.model_copy(
        update={
            "patch_size": settings.patch_size or patch,
            "tubelet_size": settings.tubelet_size or (1 if official else _tubelet(clip_shape[0])),
            "pool_num_heads": settings.pool_num_heads or heads,
        }
    )


def build(settings: Settings, *, target_dim: int, clip_shape: tuple[int, int, int, int]) -> Network:
    """The network, with random values.

    Args:
        settings: see `Settings`.
        target_dim: width of the pooled embedding, the teacher's.
        clip_shape: of one clip, ``(t, h, w, c)``, square.

    Raises:
        ConfigError: the sizes do not fit together.
    """
    return Network(_config(settings, target_dim, clip_shape), settings.token_share)


@torch.no_grad()
def initialise(network: Network, settings: Settings) -> None:
    """Gives the network its first values: a checkpoint's, or a DCT basis in the patch embedding.

    Raises:
        CheckpointError: the file is not a checkpoint of this size.
    """
    encoder = network.encoder
    if settings.checkpoint is not None:
        head = {name: value.clone() for name, value in encoder.state_dict().items() if name.startswith("head.")}
        shorter = settings.depth is not None
        loaded = load_checkpoint(Path(settings.checkpoint), encoder.config, new_head=True, first_blocks=shorter)
        encoder.load_state_dict({**loaded.state_dict(), **head})
    else:
        if settings.stem != "random":
            frequencies: Literal["lowest", "spread"] = "spread" if settings.stem == "dct_spread" else "lowest"
            init_dct(encoder.patch_embed.proj, frequencies=frequencies)
        if settings.linear_init == "fan_in":
            _start_fan_in(encoder)
    encoder.get_parameter("head.bias").fill_(0.5)


def _start_fan_in(encoder: InternVideo2) -> None:
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Linear) and name != "head":
            deviation = module.in_features**-0.5
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        if isinstance(module, Mlp):
            nn.init.normal_(module.fc1.bias, std=0.5)


def _tubelet(num_frames: int) -> int:
    return 1 if num_frames % 2 else 2


def _config(settings: Settings, target_dim: int, clip_shape: tuple[int, int, int, int]) -> InternVideo2Config:
    sizes = dict(SMALL if settings.variant == "small" else VARIANTS[settings.variant])
    for name in ("embed_dim", "depth", "num_heads"):
        if (value := getattr(settings, name)) is not None:
            sizes[name] = value
    num_frames, height, _, _ = clip_shape
    return InternVideo2Config(
        **sizes,
        num_frames=num_frames,
        image_size=height,
        patch_size=settings.patch_size or PATCHES[0],
        tubelet_size=settings.tubelet_size or _tubelet(num_frames),
        layerscale_init=settings.layerscale_init,
        pool_dim=target_dim,
        pool_num_heads=settings.pool_num_heads or _SMALL_POOL_HEADS,
        num_classes=1,
        drop_path_rate=settings.drop_path_rate,
        head_dropout=settings.head_dropout,
    )
