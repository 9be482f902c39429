"""``crop``: one patch at native resolution."""

from pipeline.rendering.draws import Draws
from pipeline.rendering.policies.shared.places import Place, at_least, corner
from pipeline.rendering.policy import ViewPolicy


def place(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> Place:
    """One patch at native resolution, centred or drawn."""
    plane = at_least(policy.size, height, width)
    return plane, (corner(plane, policy.size, draws),)
