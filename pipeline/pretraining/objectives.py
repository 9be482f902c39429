"""What the embedded teacher learns: distortion of each token, of the clip, between encodes, and how it was made."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2 import InternVideo2
from pipeline.pretraining.examples import CLIP_TARGETS
from pipeline.synthesis.encoding import CODECS
from pipeline.synthesis.fullreference import PATCH_MEASURES

WEIGHTS: Mapping[str, float] = {"dense": 2.0, "tokens": 0.5, "score": 1.0, "clip": 0.3, "pairs": 0.5, "codec": 0.02}
"""Of the terms in the loss. Dense targets come first: one per token and measure makes the early training fast."""

_DENSE_SCALE = (0.2, 0.1, 0.1, 0.06)
_DENSE_LIMIT = 6.0
_TARGET_LIMIT = 2.5


class Predictions(NamedTuple):
    """What ``Pretrainer`` predicts.

    Attributes:
        dense: ``b n 4``, each token's ``PATCH_MEASURES``.
        tokens: ``b``, the score as the mean of what every token says.
        score: ``b``, of the model's own head.
        clip: ``b 5``, ``CLIP_TARGETS``.
        codec: logits ``b 4``.
    """

    dense: Tensor
    tokens: Tensor
    score: Tensor
    clip: Tensor
    codec: Tensor


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
        )


def losses(
    predictions: Predictions, dense: Tensor, targets: Tensor, codecs: Tensor, num_groups: int
) -> dict[str, Tensor]:
    """The terms of the loss.

    Args:
        predictions: of ``Pretrainer``; the batch is ``num_groups`` contents of equally many encodes each.
        dense: float ``b n 4``, of the same tokens.
        targets: float ``b 5``, ``CLIP_TARGETS``.
        codecs: int64 ``b``.
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
    }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
