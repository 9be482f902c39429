"""The version of what ``models/student/`` and an exported ONNX file hold: older ones open, newer ones are refused."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import PipelineError

MODEL_FORMAT = 1
"""Raised when a reader of the version before would misread the file. Files without a number are of version 1."""


class ModelFormatError(PipelineError):
    """A model that a newer version of TeachOnce wrote."""


def check_model_format(config: Mapping[str, Any]) -> None:
    """Refuses a model that this code would misread.

    Args:
        config: the model's ``config.json``.

    Raises:
        ModelFormatError: a newer version wrote it, or its version is no number.
    """
    found = config.get("format_version", 1)
    if type(found) is not int or not 1 <= found <= MODEL_FORMAT:
        raise ModelFormatError(
            f"got a student of format version {found!r}; this version of TeachOnce reads 1 to {MODEL_FORMAT}; "
            "update teachonce, or run distill again"
        )
