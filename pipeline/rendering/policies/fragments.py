"""``fragments``: a grid of cells, from each a patch at native resolution. Ref: FAST-VQA (ECCV 2022), section 3.1."""

from pipeline.rendering.draws import Draws
from pipeline.rendering.policies.shared.places import Place, at_least, corner
from pipeline.rendering.policy import ViewPolicy


def place(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> Place:
    """A patch per cell of the grid, at native resolution, each centred in its cell or drawn."""
    plane = at_least(policy.size, height, width)
    cell_height, cell_width = plane[0] // policy.grid, plane[1] // policy.grid
    patches = []
    for row in range(policy.grid):
        for column in range(policy.grid):
            top, left = corner((cell_height, cell_width), policy.patch, draws)
            patches.append((row * plane[0] // policy.grid + top, column * plane[1] // policy.grid + left))
    return plane, tuple(patches)
