"""Containers with something odd in them, written through PyAV or by changing bytes of an MP4."""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.videos import HEIGHT, WIDTH, frame_pixels, write_video

_FPS = 25
_SILENT_SAMPLES = 1024


def picture(index: int, pix_fmt: str = "yuv420p", *, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    """Frame ``index`` of ``frame_pixels``, with its time."""
    pixels = frame_pixels(index, width=width, height=height)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
    frame.pts, frame.time_base = index, Fraction(1, _FPS)
    return frame


def write_elementary(path: Path, sizes: Sequence[tuple[int, int]], *, frames_each: int = 12) -> None:
    """A bare H.264 stream whose frame size changes from one stretch to the next."""
    parts = []
    for number, (width, height) in enumerate(sizes):
        part = path.with_name(f".{number}.h264")
        write_video(part, num_frames=frames_each, width=width, height=height)
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))


def write_audio(path: Path, *, with_video: bool = False, cover: bool = False) -> None:
    """A file with a sound track, and a video or a cover picture on request; the sound stands first."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        video = container.add_stream("libx264" if with_video else "mjpeg", rate=_FPS) if with_video or cover else None
        if video is not None:
            video.width, video.height = WIDTH, HEIGHT
            video.pix_fmt = "yuv420p" if with_video else "yuvj420p"
            if cover:
                video.disposition = av.stream.Disposition.attached_pic
        for number in range(40):
            samples = np.zeros((1, _SILENT_SAMPLES), np.float32)
            silence = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            silence.rate, silence.pts = 44100, number * _SILENT_SAMPLES
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        if video is not None:
            for index in range(24 if with_video else 1):
                container.mux(video.encode(picture(index, video.pix_fmt)))
            container.mux(video.encode(None))


def write_with_cover(path: Path) -> None:
    """A cover picture before the video itself."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.mux(cover.encode(picture(0, "yuvj420p", width=32, height=32)))
        container.mux(cover.encode(None))
        for index in range(24):
            container.mux(video.encode(picture(index)))
        container.mux(video.encode(None))


def write_two_videos(path: Path) -> None:
    """Two video streams of different sizes; the first is the one that is shown."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in ((WIDTH, HEIGHT), (48, 32)):
            stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append((stream, width, height))
        for index in range(24):
            for stream, width, height in streams:
                container.mux(stream.encode(picture(index, width=width, height=height)))
        for stream, _, _ in streams:
            container.mux(stream.encode(None))


def remux(path: Path, *, keep: Callable[[int], bool] = lambda number: True, shift: int = 0, **video: object) -> None:
    """Copies a video's packets: only those that ``keep`` takes, their times shifted by ``shift`` ticks."""
    whole = write_video(path.with_name(f".whole{path.suffix}"), **{"options": {"bf": "0"}, **video})
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as target:
        out = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.dts is None or not keep(number):
                continue
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = out
            target.mux(packet)
    whole.unlink()


def changed(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """An MP4 with ``value`` at ``offset`` behind the name of its first box ``box``."""
    at = data.index(box) + 4 + offset
    return data[:at] + value + data[at + len(value) :]


def without_box(data: bytes, box: bytes) -> bytes:
    """An MP4 without its top-level boxes of that name."""
    return b"".join(data[start:stop] for start, stop, name in _boxes(data) if name != box)


def renamed(data: bytes, box: bytes, name: bytes) -> bytes:
    """An MP4 one of whose boxes has another name."""
    at = data.index(box)
    return data[:at] + name + data[at + 4 :]


def _boxes(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield at, at + size, name
        at += size


def with_noise(data: bytes, start: float, num_bytes: int, *, seed: int = 0) -> bytes:
    """Random bytes from a share of the file's length on."""
    at = int(len(data) * start)
    noise = np.random.default_rng(seed).integers(0, 256, num_bytes, np.uint8).tobytes()
    return data[:at] + noise + data[at + num_bytes :]
