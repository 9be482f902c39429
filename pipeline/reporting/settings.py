"""The section ``report`` of ``params.yaml``."""

from typing import Annotated

from pydantic import Field

from pipeline.core.settings import Section


class ReportSettings(Section):
    """What the report shows."""

    title: str
    worst: Annotated[int, Field(ge=0)]
    """How many of the worst predictions are shown with frames."""
