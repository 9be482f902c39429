"""Fine term of the coarse-to-fine strategy: the ranking loss over pairs of one distortion-level group only.

The coarse term pulls a group together and so weakens what separates its members; this one preserves their order.

Ref: arXiv 2401.08522 describes a local term within one bitrate and does not give its formula; the same authors'
ranking loss (``ranking``), restricted to pairs of one group, is our choice.
"""

from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.losses.shared.pairs import ranking_loss
from pipeline.students.shared.output import StudentOutput

NEEDS = ("group", "mos")


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the formula of ``ranking``. 0 when no two scored rows share a group."""
    group = batch.groups()
    same = (group[:, None] == group[None, :]) & (group >= 0)[:, None]
    return ranking_loss(prediction.score, batch.mos, batch.labelled, same)
