"""The section ``evaluate`` of ``params.yaml``."""

from typing import Annotated

from pydantic import Field

from pipeline.core.settings import Section


class EvaluateSettings(Section):
    """How the test split is measured."""

    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples of the contents for the 95 % intervals."""
    seed: int
