"""A hierarchical vision state-space model that looks at frames one by one, and its style prompts."""

from pipeline.students.shared.qmamba.model import VARIANTS, Sizes, VisionMamba
from pipeline.students.shared.qmamba.prompts import StylePrompt

__all__ = ["VARIANTS", "Sizes", "StylePrompt", "VisionMamba"]
