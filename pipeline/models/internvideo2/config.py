"""The shape of an InternVideo2 encoder, as a transformers configuration, and the official variants by name."""

from typing import Any

from pipeline.core.errors import PipelineError, nearest
from pipeline.models.bases import AutoConfig, PretrainedConfig

VARIANTS: dict[str, dict[str, Any]] = {
    "S14": {"embed_dim": 384, "depth": 12, "num_heads": 6, "mlp_ratio": 4.0},
    "B14": {"embed_dim": 768, "depth": 12, "num_heads": 12, "mlp_ratio": 4.0},
    "L14": {"embed_dim": 1024, "depth": 24, "num_heads": 16, "mlp_ratio": 4.0},
    "1B": {"embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 48 / 11},
    "6B": {"embed_dim": 3200, "depth": 48, "num_heads": 25, "mlp_ratio": 4.0},
}
"""How the official sizes differ; everything else is the configuration's default."""


class ConfigError(PipelineError, ValueError):
    """A configuration that describes no InternVideo2 encoder."""


class InternVideo2Config(PretrainedConfig):
    """What an InternVideo2 encoder is built from; the defaults are the 1B model at 8 frames, without a head.

    Attributes:
        embed_dim: width C of the tokens.
        depth: number of blocks.
        num_heads: attention heads per block.
        mlp_ratio: hidden width of the MLP is ``int(embed_dim * mlp_ratio)``.
        patch_size: side of a square patch, in pixels.
        tubelet_size: frames that one token covers.
        num_frames: frames per clip.
        image_size: side of the square frame, in pixels. As in the official code, what does not fill a patch is cut off.
        sep_pos_embed: one position embedding for space and one for time instead of a joint one.
        qkv_bias: whether the q, k, v projection of the blocks has a bias.
        qk_norm: RMSNorm of queries and keys over the full width, before the split into heads.
        layerscale_init: initial LayerScale; 0 means that there is none.
        hidden_act: ``gelu_tanh`` (the fused MLP of all official training) or ``gelu`` (erf).
        pool_dim: width of the pooled embedding.
        pool_num_heads: heads of the attention pooling.
        num_classes: outputs of the head; 0 means no head.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0; training only.
        head_dropout: dropout before the head; training only.
        projection: ``none``; ``linear``, the ``vision_proj`` of stage-2 files; or ``norm_linear``, the
            ``vision_align`` (LayerNorm, Linear) of the small CLIP files.
        projection_dim: width of the projected embedding (512 officially); 0 without a projection.
    """

    model_type = "internvideo2"

    embed_dim: int = 1408
    depth: int = 40
    num_heads: int = 16
    mlp_ratio: float = 48 / 11
    patch_size: int = 14
    tubelet_size: int = 1
    num_frames: int = 8
    image_size: int = 224
    sep_pos_embed: bool = False
    qkv_bias: bool = False
    qk_norm: bool = True
    layerscale_init: float = 1e-5
    hidden_act: str = "gelu_tanh"
    pool_dim: int = 768
    pool_num_heads: int = 16
    num_classes: int = 0
    drop_path_rate: float = 0.0
    head_dropout: float = 0.0
    projection: str = "none"
    projection_dim: int = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Checks the fields.

        Raises:
            ConfigError: a field has a value outside its range, or two do not fit together.
        """
        super().__post_init__(**kwargs)
        positive = ("embed_dim", "depth", "num_heads", "patch_size", "tubelet_size", "num_frames", "image_size")
        for name in (*positive, "pool_dim", "pool_num_heads"):
            self._check_number(name, int, 1)
        for name in ("num_classes", "projection_dim"):
            self._check_number(name, int, 0)
        for name in ("mlp_ratio", "layerscale_init", "drop_path_rate", "head_dropout"):
            self._check_number(name, (int, float), 0)
        if self.mlp_dim < 1:
            raise ConfigError(f"mlp_ratio: got {self.mlp_ratio}, which leaves the MLP no hidden channel")
        self._check_widths()
        if self.hidden_act not in ("gelu", "gelu_tanh"):
            raise ConfigError(f"hidden_act: got {self.hidden_act!r}, expected 'gelu' (erf) or 'gelu_tanh'")
        if self.projection not in ("none", "linear", "norm_linear"):
            raise ConfigError(f"projection: got {self.projection!r}, expected 'none', 'linear' or 'norm_linear'")
        if (self.projection == "none") != (self.projection_dim == 0):
            raise ConfigError(
                f"projection={self.projection!r} does not go with projection_dim={self.projection_dim}; "
                "give both, or 'none' and 0"
            )
        for name in ("drop_path_rate", "head_dropout"):
            if getattr(self, name) >= 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected a probability in [0, 1)")

    def _check_number(self, name: str, kind: Any, least: int) -> None:
        value: Any = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < float("inf"):
            wanted = "an integer" if kind is int else "a finite number"
            raise ConfigError(f"{name}: got {value!r}, expected {wanted} of at least {least}")

    def _check_widths(self) -> None:
        for heads in ("num_heads", "pool_num_heads"):
            if self.embed_dim % getattr(self, heads):
                raise ConfigError(f"embed_dim={self.embed_dim} is not a multiple of {heads}={getattr(self, heads)}")
        multiple = 4 if self.sep_pos_embed else 16
        if self.embed_dim % multiple:
            raise ConfigError(
                f"embed_dim={self.embed_dim} is not a multiple of {multiple}, which the sincos position embedding needs"
            )
        if self.image_size < self.patch_size or self.num_frames < self.tubelet_size:
            raise ConfigError(
                f"a clip of {self.num_frames} frames of {self.image_size} px holds no tubelet of "
                f"{self.tubelet_size} frames of {self.patch_size} px"
            )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, rows and columns."""
        side = self.image_size // self.patch_size
        return self.num_frames // self.tubelet_size, side, side

    @property
    def num_patches(self) -> int:
        """Tokens of a clip, without the cls token."""
        time, rows, columns = self.grid
        return time * rows * columns

    @property
    def mlp_dim(self) -> int:
        """Hidden width of the MLP."""
        return int(self.embed_dim * self.mlp_ratio)


def variant_config(name: str, **overrides: Any) -> InternVideo2Config:
    """Builds the configuration of an official variant.

    Args:
        name: ``S14``, ``B14``, ``L14``, ``1B`` or ``6B``.
        overrides: fields that differ from the variant's, such as ``num_frames`` or ``num_classes``.

    Raises:
        ConfigError: no such variant; the message lists the known ones.
    """
    if name not in VARIANTS:
        raise ConfigError(f"unknown variant {name!r}; known: {', '.join(VARIANTS)}{nearest(name, VARIANTS)}")
    return InternVideo2Config(**{**VARIANTS[name], **overrides})


AutoConfig.register("internvideo2", InternVideo2Config)
