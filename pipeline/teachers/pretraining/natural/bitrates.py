"""Encoding to a bit rate, as services do it: two passes with x264 and x265, one pass with VP9 and SVT-AV1.

PyAV hands no first-pass statistics to libvpx and SVT-AV1, so these two get the variable bit rate of one pass.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.synthesis.encoding import Recipe, encode, scale
from pipeline.synthesis.planes import Video420

_LEAST_BITS_PER_SECOND = 8_000


def encode_to_rate(video: Video420, recipe: Recipe, bits_per_pixel: float) -> bytes:
    """Encodes to a bit rate instead of a constant quality.

    Args:
        video: the source.
        recipe: everything but the CRF, which is not used.
        bits_per_pixel: of the encoded frames (after ``recipe.scale``); short videos miss it by some.

    Returns:
        The file's bytes.

    Raises:
        EncodingError: the encoder refused.
    """
    video = scale(video, recipe.scale)
    recipe = replace(recipe, scale=1.0)
    pixels = video.shape.width * video.shape.height * recipe.fps
    rate = {"crf": None, "b": str(max(_LEAST_BITS_PER_SECOND, round(bits_per_pixel * pixels)))}
    if recipe.codec in ("vp9", "av1"):
        return encode(video, recipe, changes=rate)
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_pass(recipe, number, Path(folder) / "passes") for number in (1, 2))
        encode(video, recipe, changes={**rate, **first})
        return encode(video, recipe, changes={**rate, **second})


def _pass(recipe: Recipe, number: int, statistics: Path) -> dict[str, str]:
    if recipe.codec == "h264":
        return {"x264-params": f"mbtree=0:pass={number}:stats={statistics}"}
    settings = f"log-level=none:pools=none:frame-threads=1:keyint={recipe.gop}:bframes={recipe.bframes}:wpp=0"
    return {"x265-params": f"{settings}:pass={number}:stats={statistics}"}
