"""InternVQA's feature distillation: ``mean SmoothL1(LN(f_student) − LN(f_teacher))`` with beta = 2.

``LN`` is LayerNorm without learnt scale or shift; ``SmoothL1(d) = d² / (2·beta)`` for ``|d| < beta``, else ``|d| −
beta/2``. Rows without a score count like any other.

Ref: InternVQA (arXiv 2502.19026) and its released code: the vectors after ``fc_norm``, beta 2.0.
"""

from torch import Tensor
from torch.nn.functional import layer_norm, smooth_l1_loss

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("embedding_normed",)
BETA = 2.0


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula."""
    target = batch.targets["embedding_normed"]
    width = target.shape[-1:]
    return smooth_l1_loss(layer_norm(prediction.compared, width), layer_norm(target, width), beta=BETA)
