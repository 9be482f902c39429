"""``resize``: the short side to ``size``, one patch."""

from pipeline.rendering.draws import Draws
from pipeline.rendering.policies.shared.places import Place, corner, enlarged
from pipeline.rendering.policy import ViewPolicy


def place(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> Place:
    """Short side to ``size``, centre crop, with the official rounding; drawn views see up to 8/7 of that scale."""
    short = enlarged(policy.size, draws)
    plane = (int(short * height / width), short) if width < height else (short, int(short * width / height))
    return plane, (corner(plane, policy.size, draws),)
