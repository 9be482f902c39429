"""What the embedded teacher learns: distortion of each token, of the clip, between encodes, and how it was made."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2 import InternVideo2
from pipeline.pretraining.examples import CLIP_TARGETS
from pipeline.synthesis.encoding import CODECS
from pipeline.synthesis.fullreference import PATCH_MEASURES

WEIGHTS: Mapping[str, float] = {"dense": 2.0, "score": 1.0, "clip": 0.4, "pairs": 1.0, "codec": 0.05}
"""Of the terms in the loss. Dense targets come first: 256 of them per clip make the early training fast."""

_DENSE_SCALE = (0.35, 0.12, 0.08, 0.1)
_DENSE_LIMIT = 6.0
_TARGET_LIMIT = 2.5


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
        self.clip_head = nn.Linear(pooled, len(CLIP_TARGETS))
        self.codec_head = nn.Linear(pooled, len(CODECS))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predicts every kind of target.

        Args:
            pixels: float ``b c t h w``, normalised.

        Returns:
            Dense ``b n 4``, score ``b``, clip ``b 5`` and codec logits ``b 4``.
        """
        output = self.model(pixels)
        dense = self.dense_head(self.dense_norm(output.tokens[:, 1:]))
        pooled = output.embedding_normed
        return dense, output.logits[:, 0], self.clip_head(pooled), self.codec_head(pooled)


def losses(
    predictions: tuple[Tensor, Tensor, Tensor, Tensor], dense: Tensor, targets: Tensor, codecs: Tensor, num_groups: int
) -> dict[str, Tensor]:
    """The terms of the loss.

    Args:
        predictions: of ``Pretrainer``; the batch is ``num_groups`` contents of equally many encodes each.
        dense: float ``b n 4``.
        targets: float ``b 5``, ``CLIP_TARGETS``.
        codecs: int64 ``b``.
        num_groups: contents in the batch.

    Returns:
        Scalars by the names of ``WEIGHTS``.
    """
    dense_prediction, score, clip, codec = (prediction.float() for prediction in predictions)
    targets = targets.clamp(-_TARGET_LIMIT, _TARGET_LIMIT)
    scale = torch.tensor(_DENSE_SCALE, device=dense.device)
    wanted = (dense.float() / scale).clamp(-_DENSE_LIMIT, _DENSE_LIMIT)
    quality = targets[:, 0]
    error = (score - quality).reshape(num_groups, -1)
    between = error[:, :, None] - error[:, None, :]
    return {
        "dense": F.smooth_l1_loss(dense_prediction, wanted, beta=0.5),
        "score": F.smooth_l1_loss(score, quality, beta=0.3),
        "clip": F.smooth_l1_loss(clip, targets, beta=0.5),
        "pairs": F.smooth_l1_loss(between, torch.zeros_like(between), beta=0.3),
        "codec": F.cross_entropy(codec, codecs),
    }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
