"""``squash``: the whole frame to a square."""

from pipeline.rendering.draws import Draws
from pipeline.rendering.policies.shared.places import Place, corner, enlarged
from pipeline.rendering.policy import ViewPolicy


def place(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> Place:
    """The whole frame as a square; a drawn view is cut out of a plane up to 8/7 as large."""
    plane = (enlarged(policy.size, draws), enlarged(policy.size, draws))
    return plane, (corner(plane, policy.size, draws),)
