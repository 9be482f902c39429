"""Places of patches inside a plane."""

from pipeline.rendering.draws import Draws

Place = tuple[tuple[int, int], tuple[tuple[int, int], ...]]


def enlarged(size: int, draws: Draws | None) -> int:
    """The size itself; with draws a size up to 8/7 as large."""
    return draws.between(size, size * 8 // 7) if draws else size


def corner(area: tuple[int, int], side: int, draws: Draws | None) -> tuple[int, int]:
    """Top and left of a square inside an area: the centre, or drawn."""
    spare_rows, spare_columns = area[0] - side, area[1] - side
    if draws is None:
        return round(spare_rows / 2), round(spare_columns / 2)
    return draws.between(0, spare_rows), draws.between(0, spare_columns)


def at_least(size: int, height: int, width: int) -> tuple[int, int]:
    """The frame's own size, or enlarged in proportion until the short side is ``size``."""
    short = min(height, width)
    if short >= size:
        return height, width
    return -(-height * size // short), -(-width * size // short)
