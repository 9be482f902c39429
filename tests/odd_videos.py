"""Videos that other tools show wrongly: one writer for each kind; pixels encode the frame's number (see ``videos.py``).

Bytes are changed where no muxer writes the kind. MP4s have their index at the end, so that boxes may grow.
"""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.videos import HEIGHT, WIDTH, frame_pixels, write_video

FPS = 25
OPEN_GOP_X264 = {"bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"}
OPEN_GOP_X265 = {
    "x265-params": "log-level=none:pools=none:frame-threads=1:keyint=12:min-keyint=12:bframes=3:open-gop=1:b-adapt=0"
}


def copy_packets(
    source: Path, target: Path, change: Callable[[int, av.Packet], av.Packet | None], **options: str
) -> Path:
    """Copies a video's packets by ``change``, which may drop one.

    Args:
        source: whose first video stream is copied.
        target: its suffix chooses the container.
        change: number and packet → the packet to be written, or None.
        options: of the muxer.
    """
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        out = written.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(read.demux(read.streams.video[0])):
            if packet.size and (changed := change(number, packet)) is not None:
                changed.stream = out
                written.mux(changed)
    return target


def with_bytes(packet: av.Packet, data: bytes) -> av.Packet:
    """A packet with other bytes and the same times."""
    other = av.Packet(data)
    other.pts, other.dts, other.duration, other.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    return other


def _resized(data: bytes, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """Changes the body of the box at ``path`` and every size around it."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if name == path[0]:
            head = {b"stsd": 16, b"avc1": 86}.get(name, 8)
            body = data[at + 8 : at + size]
            skip = head - 8
            new = change(body) if len(path) == 1 else body[:skip] + _resized(body[skip:], path[1:], change)
            return data[:at] + struct.pack(">I4s", len(new) + 8, name) + new + data[at + size :]
        at += size
    raise ValueError(f"no box {path[0]!r}")


def _in_table(*path: bytes) -> list[bytes]:
    return [b"moov", b"trak", b"mdia", b"minf", b"stbl", *path]


def all_sync(path: Path) -> Path:
    """An MP4 without a sync table: every sample counts as a sync sample."""
    return renamed_box(write_video(path, num_frames=60, options={"bf": "0", "g": "16"}), b"stss")


def renamed_box(path: Path, name: bytes) -> Path:
    """Takes every box of a name out of an MP4."""
    path.write_bytes(path.read_bytes().replace(name, b"free"))
    return path


def intra_refresh(path: Path) -> Path:
    """H.264 without an IDR picture after the first."""
    return write_video(path, num_frames=70, options={"bf": "0", "x264-params": "intra-refresh=1:keyint=16"})


class _Writer:
    """Bits of a unit."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> None:
        self.bits += f"{value:0{count}b}"

    def golomb(self, *values: int) -> None:
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code

    def align(self, bit: str = "0") -> None:
        self.bits += bit * (-len(self.bits) % 8)

    def unit(self, header: int) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        return b"\0\0\0\1" + bytes([header]) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _field(number: int, parity: int) -> bytes:
    """One field as uncompressed macroblocks."""
    slice_ = _Writer()
    slice_.golomb(0, 7, 0)
    slice_.put(number % 16, 4)
    slice_.put(1, 1)
    slice_.put(parity, 1)
    is_idr = number == parity == 0
    if is_idr:
        slice_.golomb(0)
    slice_.put(0, 2 if is_idr else 1)
    slice_.golomb(0)
    luma = frame_pixels(number)[parity::2, :, 0]
    for top in range(0, HEIGHT // 2, 16):
        for left in range(0, WIDTH, 16):
            slice_.golomb(25)
            slice_.align()
            block = luma[top : top + 16, left : left + 16].tobytes() + b"\x80" * 128
            slice_.put(int.from_bytes(block, "big"), 8 * len(block))
    return slice_.unit(0x65 if is_idr else 0x21)


def field_coded(path: Path, num_frames: int = 24) -> Path:
    """H.264 with a field per packet, as a broadcast stream copied into MP4 has it."""
    sequence, picture = _Writer(), _Writer()
    sequence.put(77 << 16 | 30, 24)
    sequence.golomb(0, 0, 2, 1)
    sequence.put(0, 1)
    sequence.golomb(WIDTH // 16 - 1, HEIGHT // 32 - 1)
    sequence.put(0b001000, 6)
    picture.golomb(0, 0)
    picture.put(0, 2)
    picture.golomb(0, 0, 0)
    picture.put(0, 3)
    picture.golomb(0, 0, 0)
    picture.put(0, 3)
    fields = [_field(number // 2, number % 2) for number in range(2 * num_frames)]
    bare = path.with_name(f".{path.stem}.h264")
    bare.write_bytes(sequence.unit(0x67) + picture.unit(0x68) + b"".join(fields))

    def timed(number: int, packet: av.Packet) -> av.Packet:
        packet.pts = packet.dts = number
        packet.duration, packet.time_base = 1, Fraction(1, 2 * FPS)
        return packet

    copy_packets(bare, path, timed)
    bare.unlink()
    return path


def size_change(path: Path) -> Path:
    """VP9 whose picture becomes smaller at frame 12."""
    large = write_video(path.with_name(".large.webm"), codec="libvpx-vp9", num_frames=12)
    small = write_video(path.with_name(".small.webm"), codec="libvpx-vp9", num_frames=12, width=48, height=32)
    with av.open(str(large)) as one, av.open(str(small)) as two, av.open(str(path), "w") as written:
        out = written.add_stream_from_template(one.streams.video[0])
        for start, container in ((0, one), (480, two)):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.pts, packet.dts, packet.stream = packet.pts + start, packet.pts + start, out
                    written.mux(packet)
    return path


def _streams(path: Path, *sources: tuple[Path, int]) -> Path:
    """One file of the first streams of several, each with its disposition."""
    with av.open(str(path), "w") as written:
        read = [(av.open(str(source)), disposition) for source, disposition in sources]
        outs = []
        for container, disposition in read:
            out = written.add_stream_from_template(container.streams.video[0])
            out.disposition = disposition
            outs.append(out)
        for (container, _), out in zip(read, outs, strict=True):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = out
                    written.mux(packet)
            container.close()
    return path


def thumbnail_first(path: Path) -> Path:
    """A picture, in no way marked as one, then the video."""
    thumb = write_video(path.with_name(".t.mkv"), codec="mjpeg", pix_fmt="yuvj420p", num_frames=1, width=48, height=32)
    return _streams(path, (thumb, 0), (write_video(path.with_name(".v.mkv")), 0))


def two_sizes(path: Path, default: int | None = None) -> Path:
    """A small video, then a large one; ``default`` is the number of the stream with the default flag."""
    small = write_video(path.with_name(".s.mkv"), width=48, height=32)
    whole = write_video(path.with_name(".w.mkv"))
    return _streams(path, (small, int(default == 0)), (whole, int(default == 1)))


def bad_sei(path: Path) -> Path:
    """Each fifth packet begins with an SEI message that is shorter than it says."""
    whole = write_video(path.with_name(".whole.mp4"), options={"bf": "0"})
    unit = b"\x06\x05\xff\xff" + b"\x55" * 12

    def with_message(number: int, packet: av.Packet) -> av.Packet:
        message = len(unit).to_bytes(4, "big") + unit if number % 5 == 0 else b""
        return with_bytes(packet, message + bytes(packet))

    return copy_packets(whole, path, with_message)


def with_filler(path: Path) -> Path:
    """Packets with filler data and a unit of a kind that no standard names."""
    whole = write_video(path.with_name(".whole.mp4"), options={"bf": "0"})
    extra = b"".join(len(unit).to_bytes(4, "big") + unit for unit in (b"\x0c\xff\xff\x80", b"\x1e\x55\x55\x80"))
    return copy_packets(whole, path, lambda number, packet: with_bytes(packet, extra + bytes(packet)))


def cut_by_copy(
    path: Path, codec: str = "libx264", *, first: int = 12, shift_to: int = 0, num_frames: int = 60
) -> Path:
    """A video of open groups that is cut by stream copy at its second key frame: leading frames lack references.

    Args:
        path: of the file.
        codec: ``libx264`` or ``libx265``.
        first: the key frame's number.
        shift_to: time of the key frame after the cut, in frames; below zero an MP4 hides frames by an edit list.
        num_frames: of the whole video.
    """
    options = OPEN_GOP_X264 if codec == "libx264" else OPEN_GOP_X265
    size = {} if codec == "libx264" else {"width": 128, "height": 128}
    whole = write_video(path.with_name(".whole.mp4"), codec=codec, options=options, num_frames=num_frames, **size)
    begun: list[int] = []

    def later(number: int, packet: av.Packet) -> av.Packet | None:
        tick = round(1 / (FPS * packet.time_base))
        if packet.is_keyframe and packet.pts >= first * tick and not begun:
            begun.append(packet.pts - shift_to * tick)
        if not begun:
            return None
        packet.pts, packet.dts = packet.pts - begun[0], packet.dts - begun[0]
        return packet

    return copy_packets(whole, path, later, avoid_negative_ts="disabled")


def two_descriptions(path: Path) -> Path:
    """An MP4 with two sample descriptions, whose parameter sets differ but for their number; frames 24 … 63, 0 … 23."""
    first = write_video(path.with_name(".a.mp4"), num_frames=64, options={"bf": "0", "g": "8"})
    other = {"bf": "0", "g": "8", "x264-params": "ref=4:cabac=0", "profile": "baseline"}
    second = write_video(path.with_name(".b.mp4"), num_frames=24, options=other)
    samples: list[bytes] = []
    with av.open(str(first)) as one, av.open(str(second)) as two:
        samples += [bytes(packet) for packet in one.demux(video=0) if packet.size and packet.pts >= 24 * 512]
        samples += [bytes(packet) for packet in two.demux(video=0) if packet.size]
    head = struct.pack(">I4s", 8 + sum(map(len, samples)), b"mdat")
    data = first.read_bytes()
    start = data.index(b"mdat") + 4
    places = start + np.cumsum([0, *map(len, samples)])[:-1]
    moov = data.index(b"moov") - 4
    entry = second.read_bytes()
    at = entry.index(b"avc1", entry.index(b"stsd")) - 4
    entry = entry[at : at + struct.unpack_from(">I", entry, at)[0]]
    index = data[moov:]
    tables: dict[bytes, Callable[[bytes], bytes]] = {
        b"stsd": lambda body: body[:4] + struct.pack(">I", 2) + body[8:] + entry,
        b"stsc": lambda body: struct.pack(">2I6I", 0, 2, 1, 1, 1, 41, 1, 2),
        b"stsz": lambda body: struct.pack(">3I", 0, 0, len(samples)) + struct.pack(">64I", *map(len, samples)),
        b"stco": lambda body: struct.pack(">2I", 0, len(samples)) + struct.pack(">64I", *map(int, places)),
        b"stss": lambda body: struct.pack(">2I8I", 0, 8, *range(1, 65, 8)),
    }
    for name, change in tables.items():
        index = _resized(index, _in_table(name), change)
    path.write_bytes(data[: start - 8] + head + b"".join(samples) + index)
    return path


def live(path: Path, codec: str = "libvpx-vp9", ticks: Sequence[int] | None = None) -> Path:
    """WebM as a browser records it: no duration, no index, no rate."""
    return write_video(
        path,
        codec=codec,
        num_frames=64,
        fps=1000 if ticks else FPS,
        ticks=ticks,
        container_options={"live": "1"},
        options={"cpu-used": "8", "deadline": "realtime"},
    )


def jitter(count: int = 64) -> list[int]:
    """Times of about 30 frames a second in ms, as a camera of a telephone gives them."""
    steps = np.random.default_rng(0).choice([17, 33, 33, 34, 50], count - 1)
    return [0, *np.cumsum(steps).tolist()]


def display_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Sets the upper left 2 × 2 of an MP4's display matrix."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    return path


def clap(path: Path, width: int, height: int, right: int = 0, down: int = 0) -> Path:
    """Crops an MP4 by a clean aperture of ``width`` × ``height``, its centre moved ``right`` and ``down`` by halves."""
    numbers = (width, 1, height, 1, right, 2, down, 2)
    box = struct.pack(">I4s", 40, b"clap") + struct.pack(">8i", *numbers)
    path.write_bytes(_resized(path.read_bytes(), _in_table(b"stsd", b"avc1"), lambda body: body + box))
    return path
