"""Middle layers: ``mean over rows and layers of 2 − 2·cos(z_student, z_teacher)`` on mean-pooled tokens.

The teacher's K cached blocks, ascending, are matched with the student's last K blocks at interval 1.

Ref: InternVideo2's distillation of its small models (K = 6, teacher interval 3.34, student interval 1). There the
tokens themselves are matched; pooling them first, so that the cache is small, is ours. Which blocks to cache:
``distillation_layers`` of ``pipeline/models/internvideo2`` has the official formula, ``depth - 1 - int(i * interval)``,
which gives 23, 26, 29, 33, 36, 39 for 1B, where the official configuration lists 22, 26, 29, 32, 35, 39; ours is the
formula.
"""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("layers",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula.

    Raises:
        ValueError: the student returns no layers, or fewer than were cached.
    """
    target = batch.targets["layers"]
    num_layers = target.shape[1]
    if prediction.layers is None or prediction.layers.shape[1] < num_layers:
        got = 0 if prediction.layers is None else prediction.layers.shape[1]
        raise ValueError(f"the loss 'layers' has {num_layers} cached blocks to match; the student has {got}")
    return (2.0 - 2.0 * cosine_similarity(prediction.layers[:, -num_layers:], target, dim=-1)).mean()
