"""What the embedded teacher learns: distortion of each token, of the clip, between encodes, how it was made, and what
the pixels are like."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2 import InternVideo2
from pipeline.pretraining.examples import CLIP_TARGETS, PATCH_PX, TUBELET
from pipeline.pretraining.statistics import (
    CLIP_STATISTICS,
    TOKEN_STATISTICS,
    clip_statistics,
    token_statistics,
)
from pipeline.synthesis.encoding import CODECS
from pipeline.synthesis.fullreference import PATCH_MEASURES

WEIGHTS: Mapping[str, float] = {
    "dense": 2.0,
    "texture": 0.5,
    "statistics": 0.5,
    "tokens": 0.5,
    "score": 1.0,
    "clip": 0.3,
    "pairs": 0.5,
    "codec": 0.02,
}
"""Of the terms in the loss. Dense targets come first: one per token and measure makes the early training fast."""

_DENSE_SCALE = (0.2, 0.1, 0.1, 0.06)
_DENSE_LIMIT = 6.0
_TARGET_LIMIT = 2.5
_TEXTURE_MEAN = (4.2, 3.0, 2.1, 1.35, 0.8, 0.3, -0.2, 1.15)
_TEXTURE_SCALE = (0.6, 0.6, 0.65, 0.7, 0.65, 0.6, 0.55, 2.0)
_STATISTICS_MEAN = (
    *(4.3, 3.1, 2.2, 1.4, 0.85, 0.35, -0.15),
    *(4.2, 3.0, 2.1, 1.35, 0.8, 0.3, -0.2),
    *(0.0, 0.0, 0.0, 0.02, 0.02, 0.04, 0.08),
    *(1.7, 5.9, 2.1),
)
_STATISTICS_SCALE = (
    *(0.15, 0.3, 0.45, 0.5, 0.5, 0.5, 0.45),
    *(0.25, 0.35, 0.5, 0.55, 0.5, 0.5, 0.45),
    *(0.1, 0.1, 0.1, 0.1, 0.1, 0.15, 0.25),
    *(1.4, 0.55, 0.3),
)
"""Mean and deviation of the statistics over the first contents of the pre-training's own kind."""


class Predictions(NamedTuple):
    """What ``Pretrainer`` predicts.

    Attributes:
        dense: ``b n 4``, each token's ``PATCH_MEASURES``.
        tokens: ``b``, the score as the mean of what every token says.
        score: ``b``, of the model's own head.
        clip: ``b 5``, ``CLIP_TARGETS``.
        codec: logits ``b 4``.
        texture: ``b n 8``, each token's standardised ``token_statistics``.
        statistics: ``b 24``, standardised ``clip_statistics``.
    """

    dense: Tensor
    tokens: Tensor
    score: Tensor
    clip: Tensor
    codec: Tensor
    texture: Tensor
    statistics: Tensor


class Pretrainer(nn.Module):
    """The teacher with the heads that only the pre-training needs.

    Args:
        model: with a head of one output, which learns the MS-SSIM target.
    """

    def __init__(self, model: InternVideo2) -> None:
        super().__init__()
        self.model = model
        dim, pooled = model.config.embed_dim, model.config.pool_dim
        self.dense_norm = nn.LayerNorm(dim)
        self.dense_head = nn.Linear(dim, len(PATCH_MEASURES))
        self.token_head = nn.Linear(dim, 1)
        self.clip_head = nn.Linear(pooled, len(CLIP_TARGETS))
        self.codec_head = nn.Linear(pooled, len(CODECS))
        self.texture_head = nn.Linear(dim, TOKEN_STATISTICS)
        self.statistics_head = nn.Linear(pooled, CLIP_STATISTICS)

    def forward(self, pixels: Tensor, seen: Tensor) -> Predictions:
        """Predicts every kind of target from some of the tokens.

        Fragments are independent looks at one video, so a part of the tokens tells nearly as much as all, for a part
        of the cost.

        Args:
            pixels: float ``b c t h w``, normalised.
            seen: int64 ``n``, places of the tokens to be used.
        """
        tokens = self.model.embed_patches(pixels)
        tokens = torch.cat([tokens[:, :1], tokens[:, 1 + seen]], dim=1)
        for block in self.model.blocks:
            tokens = block(tokens)
        pooled = self.model.fc_norm(self.model.clip_projector(tokens))
        patches = self.dense_norm(tokens[:, 1:])
        return Predictions(
            dense=self.dense_head(patches),
            tokens=self.token_head(patches)[..., 0].mean(dim=1),
            score=self.model.get_submodule("head")(pooled)[:, 0],
            clip=self.clip_head(pooled),
            codec=self.codec_head(pooled),
            texture=self.texture_head(patches),
            statistics=self.statistics_head(pooled),
        )


def perceived(clips: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """What the pixels are like: standardised ``token_statistics`` of the seen tokens and ``clip_statistics``.

    Args:
        clips: uint8 ``b t h w c``.
        seen: int64 ``n``, places of the tokens.

    Returns:
        float ``b n 8`` and ``b 24``.
    """
    texture = token_statistics(clips, PATCH_PX, TUBELET)[:, seen]
    statistics = clip_statistics(clips, PATCH_PX)
    return (
        (texture - texture.new_tensor(_TEXTURE_MEAN)) / texture.new_tensor(_TEXTURE_SCALE),
        (statistics - statistics.new_tensor(_STATISTICS_MEAN)) / statistics.new_tensor(_STATISTICS_SCALE),
    )


def losses(
    predictions: Predictions,
    dense: Tensor,
    targets: Tensor,
    codecs: Tensor,
    pixels: tuple[Tensor, Tensor],
    num_groups: int,
) -> dict[str, Tensor]:
    """The terms of the loss.

    Args:
        predictions: of ``Pretrainer``; the batch holds equally many encodes of each content.
        dense: float ``b n 4``, of the same tokens.
        targets: float ``b 5``, ``CLIP_TARGETS``.
        codecs: int64 ``b``, index into ``CODECS``.
        pixels: of ``perceived``.
        num_groups: contents in the batch.

    Returns:
        Scalars by the names of ``WEIGHTS``.
    """
    found = Predictions(*(prediction.float() for prediction in predictions))
    targets = targets.clamp(-_TARGET_LIMIT, _TARGET_LIMIT)
    scale = torch.tensor(_DENSE_SCALE, device=dense.device)
    wanted = (dense.float() / scale).clamp(-_DENSE_LIMIT, _DENSE_LIMIT)
    quality = targets[:, 0]
    error = (found.score - quality).reshape(num_groups, -1)
    between = error[:, :, None] - error[:, None, :]
    return {
        "dense": F.smooth_l1_loss(found.dense, wanted, beta=0.5),
        "tokens": F.smooth_l1_loss(found.tokens, quality, beta=0.3),
        "score": F.smooth_l1_loss(found.score, quality, beta=0.3),
        "clip": F.smooth_l1_loss(found.clip, targets, beta=0.5),
        "pairs": F.smooth_l1_loss(between, torch.zeros_like(between), beta=0.3),
        "codec": F.cross_entropy(found.codec, codecs),
        "texture": F.smooth_l1_loss(found.texture, pixels[0], beta=0.5),
        "statistics": F.smooth_l1_loss(found.statistics, pixels[1], beta=0.5),
    }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
