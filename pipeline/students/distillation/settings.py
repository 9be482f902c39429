"""The section ``distill`` of ``params.yaml``."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.core.settings import Count, NonNegative, Positive, Section, file_of


class DistillSettings(Section):
    """The student and how it is trained from the cache."""

    student: Annotated[str, file_of("students")]
    """A file of ``pipeline/students/``."""
    options: dict[Annotated[str, file_of("students")], dict[str, Any]]
    """Student name → that student's own settings; only the selected student's are read."""
    initial: str | None
    """Folder of a trained student of the same kind to begin with, as ``models/student`` is one; null begins anew."""
    view_set: str
    losses: Annotated[dict[Annotated[str, file_of("students.losses")], NonNegative], Field(min_length=1)]
    """Loss name (a file of ``pipeline/students/losses/``) → weight; 0 switches it off."""
    epochs: Count
    batch_size: Count
    """Clips per step."""
    learning_rate: Positive
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    weight_decay: NonNegative
    warmup_epochs: NonNegative
    weight_average: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Decay of the exponential moving average of the weights; 0 switches it off."""
    precision: Literal["float32", "bfloat16"]
    """Of the student's arithmetic in training; ``bfloat16`` (mixed precision) is for CUDA."""
    validation_views: Count
    """Views per validation video that choose the epoch; calibration and test use all."""
    views: Count | None = None
    """Views of a training video that training may draw from, the first ones; null takes all that are cached."""
    patience: Count | None
    """Epochs without a better validation result before training stops; null trains to the end."""
    seed: int
    threads: Count
