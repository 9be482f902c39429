"""The section ``adapt`` of ``params.yaml``."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.settings import Count, NonNegative, Positive, Section, file_of


class AdaptSettings(Section):
    """The teacher, and the InternVQA recipe that turns its head towards opinion scores."""

    teacher: Annotated[str, file_of("teachers")]
    """A file of ``pipeline/teachers/``."""
    checkpoint: str | None
    """Path of a weights file or folder; null takes the weights shipped with the teacher, or none."""
    view_set: str
    trainable_blocks: Annotated[int, Field(ge=0)] | Literal["all"]
    """The last n blocks train, beside attention pooling, norms and head; ``all`` trains the whole model."""
    epochs: Annotated[int, Field(ge=0)]
    """0 passes the checkpoint and its own head through."""
    learning_rate: Positive
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    weight_decay: NonNegative
    warmup_epochs: NonNegative
    batch_size: Count
    """Clips per step."""
    token_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the tokens that a training step sees, drawn anew each step; scoring sees all."""
    val_tolerance: NonNegative = 0.0
    """Of the epochs whose validation SRCC is within this of the best one's, the last is used: a difference that few
    contents cannot show is no reason to stop earlier."""
    validation_views: Count | None = None
    """Views per validation video that choose the epoch, the first ones; null takes all that are cached."""
    head_init_scale: Positive
    seed: int
    threads: Count
    """CPU threads; a parameter, since sums are not associative."""
