"""The teacher before adaptation: from a checkpoint, from the shipped weights, or from initial values."""

from pathlib import Path

import torch

from pipeline.core import registry
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, load_checkpoint, variant_config
from pipeline.models.internvideo2.loading import LoadReport, flatten_checkpoint
from pipeline.models.internvideo2.reading import read_checkpoint
from pipeline.models.stem import init_dct
from pipeline.teachers.adaptation.labelled import AdaptationError
from pipeline.teachers.adaptation.settings import AdaptSettings

SHIPPED = Path("models/pretrained")


def teacher_config(teacher: str) -> InternVideo2Config:
    """The architecture of a teacher, from its file's ``ARCHITECTURE``: an official variant and what differs from it, or
    every field.

    Raises:
        UnknownName: there is no such teacher.
    """
    fields = dict(registry.find("teachers", teacher).ARCHITECTURE)
    variant = fields.pop("variant", None)
    return InternVideo2Config(**fields) if variant is None else variant_config(variant, **fields)


def first_weights(settings: AdaptSettings) -> Path:
    """Where the teacher's weights before adaptation lie: the checkpoint, or the folder of those shipped with it."""
    return Path(settings.checkpoint) if settings.checkpoint else SHIPPED / settings.teacher


def initial_teacher(settings: AdaptSettings, *, from_nothing: bool = False) -> InternVideo2:
    """The teacher before adaptation: from the checkpoint, the weights shipped with it, or initial values.

    Args:
        settings: the section ``adapt``.
        from_nothing: initial values, whatever checkpoint there is.

    Raises:
        AdaptationError: ``epochs`` is 0 and there is no checkpoint to pass through.
    """
    config = teacher_config(settings.teacher)
    source = first_weights(settings)
    if from_nothing or not (settings.checkpoint or (source / "model.safetensors").is_file()):
        if not (settings.epochs or from_nothing):
            raise AdaptationError(
                "adapt.epochs is 0, which passes a checkpoint through, but adapt.checkpoint is null and "
                f"{settings.teacher} ships no weights; name a checkpoint, or train with epochs > 0"
            )
        model = InternVideo2(with_head(config, 1))
        init_dct(model.patch_embed.proj)
    elif settings.epochs:
        model = load_checkpoint(source, with_head(config, 1), new_head=not _predicts_one_score(source))
        if keeps_head(model):
            return model
    else:
        return passed_through(source, config)
    head = model.head
    if not isinstance(head, torch.nn.Linear):
        raise AdaptationError(f"{settings.teacher} has no head to train")
    torch.nn.init.trunc_normal_(head.weight, std=0.02)
    with torch.no_grad():
        head.weight.mul_(settings.head_init_scale)
        head.bias.fill_(0.5)
    return model


def _predicts_one_score(source: Path) -> bool:
    head = flatten_checkpoint(read_checkpoint(source), source).get("head.weight")
    return head is not None and len(head) == 1


def passed_through(source: Path, config: InternVideo2Config) -> InternVideo2:
    """A checkpoint with its own head; without one the model has none, so that meaningless logits cannot be cached."""
    stored = load_checkpoint(source)
    has_head = stored.load_report is not None and stored.load_report.has_trained_head
    return load_checkpoint(source, with_head(config, stored.config.num_classes if has_head else 0))


def with_head(config: InternVideo2Config, num_classes: int) -> InternVideo2Config:
    """The same architecture with so many outputs."""
    return InternVideo2Config(**{**config.to_dict(), "num_classes": num_classes})


def keeps_head(model: InternVideo2) -> bool:
    """Whether the model's head came from its checkpoint."""
    report: LoadReport | None = getattr(model, "load_report", None)
    return report is not None and report.has_trained_head
