"""The section ``render`` of ``params.yaml``."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.settings import Count, Section, file_of


class ViewSet(Section):
    """One way to look at a video: which frames, and which part of them."""

    policy: Annotated[str, file_of("rendering.policies", "teacher")]
    """A file of ``pipeline/rendering/policies/``, or ``teacher``, which takes everything that is left out here from the
    preprocessing of ``adapt.teacher``."""
    sampling: Literal["uniform", "middle", "window"] | None = None
    num_frames: Count | None = None
    size: Count | None = None
    """Side of the square clip, in px."""
    grid: Count | None = None
    """``fragments``: cells per side."""


class RenderSettings(Section):
    """Views: how the pixels that teacher and students see are chosen and decoded."""

    decoder: Annotated[str, file_of("video.decoders")]
    """A file of ``pipeline/video/decoders/``."""
    short: Literal["fail", "repeat"]
    """A video with fewer frames than its view asks for: a failed row, or the official rule that repeats frames."""
    hdr: Literal["show", "refuse"] = "show"
    """Of HDR video (PQ, HLG, BT.2020): shown without tone mapping, which the row says, or a failed row."""
    views_per_video: Count
    view_sets: Annotated[dict[str, ViewSet], Field(min_length=1)]
    max_failed: Annotated[int, Field(ge=0)]
