"""``squash``: the whole frame to a square."""

from pipeline.rendering.draws import Draws
from pipeline.rendering.policies.shared.places import Place, corner, enlarged
from pipeline.rendering.policy import ViewPolicy


def place(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> Place:
    plane = (enlarged(policy.size, draws), enlarged(policy.size, draws))
    return plane, (corner(plane, policy.size, draws),)
