"""Direction of the embedding: ``mean over rows of 2 − 2·cos(f_student, f_teacher)``, between 0 and 4.

Ref: the final-output term of InternVideo2's distillation of its small models, which L2-normalises both vectors.
"""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("embedding_normed",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula."""
    return (2.0 - 2.0 * cosine_similarity(prediction.compared, batch.targets["embedding_normed"], dim=-1)).mean()
