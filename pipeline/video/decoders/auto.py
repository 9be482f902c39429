"""The default: raw video by ``yuv``, decord where it is proven identical to PyAV, PyAV for everything else.

The choice depends on the file and on whether decord is installed, never on which decoder happened to fail; and since
both give the same bytes wherever decord is chosen, it does not shape the pixels. What was chosen is kept per row.
"""

from pathlib import Path

from pipeline.video.decoder import DecodeOptions, OpenVideo, VideoInfo
from pipeline.video.decoders import decord, pyav, yuv


def available() -> bool:
    """Always: PyAV is a dependency."""
    return True


def version() -> str:
    """Name and version, for the record."""
    return "auto 1"


def open(path: Path, *, options: DecodeOptions) -> OpenVideo:
    """Opens a video with the decoder that suits it.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    if path.suffix.lower() in yuv.SUFFIXES:
        return yuv.open(path, options=options)
    video = pyav.open(path, options=options)
    if decord.available() and decord.refusal(video.info) is None:
        video.close()
        return decord.DecordVideo(path, options, video.info)
    return video


def check_ends(path: Path, options: DecodeOptions | None = None) -> VideoInfo:
    """As ``probe``, and decodes the first and the last frame, without all that lie between where the file allows it.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    options = options or DecodeOptions()
    if path.suffix.lower() in yuv.SUFFIXES:
        with yuv.open(path, options=options) as raw:
            list(raw.frames(sorted({0, raw.info.num_frames - 1})))
            return raw.info
    return pyav.check_ends(path, options=options)


def probe(path: Path, options: DecodeOptions | None = None) -> VideoInfo:
    """What is known of a video, without choosing how its pixels would be decoded.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    options = options or DecodeOptions()
    if path.suffix.lower() in yuv.SUFFIXES:
        with yuv.open(path, options=options) as raw:
            return raw.info
    with pyav.open(path, options=options) as video:
        return video.info
