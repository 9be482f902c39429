"""What the embedded teacher learns: distortion of each token, of the clip, between encodes, how it was made, and what
the pixels are like."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2 import InternVideo2
from pipeline.synthesis.encoding import CODECS
from pipeline.synthesis.fullreference import PATCH_MEASURES
from pipeline.teachers.pretraining.examples import CELL_PX, CELLS, CLIP_TARGETS, PATCH_PX, TOKENS, TUBELET
from pipeline.teachers.pretraining.statistics import (
    CLIP_STATISTICS,
    TOKEN_STATISTICS,
    clip_statistics,
    token_statistics,
)

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

_DENSE_SCALE = (0.24, 0.1, 0.08, 0.07)
_DENSE_LIMIT = 6.0
_TARGET_LIMIT = 2.5
_TEXTURE_MEAN = (3.3, 2.45, 1.75, 1.1, 0.63, 0.26, -0.17, 0.8)
_TEXTURE_SCALE = (1.0, 1.05, 1.05, 1.0, 0.95, 0.9, 0.8, 2.0)
_STATISTICS_MEAN = (
    *(4.1, 3.0, 2.1, 1.35, 0.8, 0.4, -0.05),
    *(4.0, 2.8, 1.95, 1.25, 0.65, 0.3, -0.15),
    *(0.01, 0.02, 0.03, 0.05, 0.09, 0.12, 0.3),
    *(1.4, 6.3, 1.8),
)
_STATISTICS_SCALE = (
    *(0.55, 0.7, 0.8, 0.85, 0.85, 0.8, 0.7),
    *(0.6, 0.7, 0.8, 0.8, 0.8, 0.75, 0.65),
    *(0.1, 0.1, 0.13, 0.18, 0.26, 0.32, 0.6),
    *(1.5, 1.25, 0.75),
)
"""Mean and deviation of the statistics over the first contents of the pre-training's own kind."""


class Predictions(NamedTuple):
    """What ``Pretrainer`` predicts.

    Attributes:
        dense: ``b n 4``, ``PATCH_MEASURES`` of each token's cell.
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


def cells_of(tokens: Tensor) -> Tensor:
    """The cells that tokens lie in.

    Args:
        tokens: int64 ``n``, places in the order of the patch embedding: time, row, column.

    Returns:
        int64 ``n``, places in the same order among ``CELLS``.
    """
    _, rows, columns = TOKENS
    time, row, column = tokens // (rows * columns), tokens // columns % rows, tokens % columns
    return (time * CELLS[1] + row * CELLS[1] // rows) * CELLS[2] + column * CELLS[2] // columns


def perceived(clips: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """What the pixels are like: standardised ``token_statistics`` of the seen tokens and ``clip_statistics``.

    Args:
        clips: uint8 ``b t h w c``.
        seen: int64 ``n``, places of the tokens.

    Returns:
        float ``b n 8`` and ``b 24``.
    """
    texture = token_statistics(clips, PATCH_PX, TUBELET)[:, seen]
    statistics = clip_statistics(clips, CELL_PX)
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
        dense: float ``b n 4``, of the same tokens' cells.
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
