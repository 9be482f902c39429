"""The default: raw video by ``yuv``, everything else by PyAV."""

from pathlib import Path

from pipeline.video.decoder import DecodeOptions, OpenVideo, VideoInfo
from pipeline.video.decoders import pyav, yuv


def available() -> bool:
    """Always: PyAV is a dependency."""
    return True


def version() -> str:
    """Name and version, for the record."""
    return "auto 2"


def open(path: Path, *, options: DecodeOptions) -> OpenVideo:
    """Opens a video with the decoder that suits it.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    return (yuv if path.suffix.lower() in yuv.SUFFIXES else pyav).open(path, options=options)


def check_ends(path: Path, options: DecodeOptions | None = None) -> VideoInfo:
    """As ``probe``, and decodes the first and the last frame, without all that lie between where the file allows it.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    options = options or DecodeOptions()
    if path.suffix.lower() not in yuv.SUFFIXES:
        return pyav.check_ends(path, options=options)
    with yuv.open(path, options=options) as raw:
        list(raw.frames(sorted({0, raw.info.num_frames - 1})))
        return raw.info


def probe(path: Path, options: DecodeOptions | None = None) -> VideoInfo:
    """What is known of a video.

    Raises:
        DecodeError: it is not a video, or is damaged.
    """
    with open(path, options=options or DecodeOptions()) as video:
        return video.info
