"""Broken, odd and hostile videos: one file of each kind, and what must become of it.

``python -m tests.faults.corpus FOLDER`` writes them all. A kind ends as a right result, every frame the one that its
pixels say, or as a failure whose reason has the words given here. Nothing else is allowed.
"""

import os
import socket
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.containers import (
    changed,
    remux,
    renamed,
    with_noise,
    without_box,
    write_audio,
    write_elementary,
    write_two_videos,
    write_with_cover,
)
from tests.videos import cut_by_edit_list, rotate, write_raw, write_video

NUM_FRAMES = 24
ANY = 0
OUTSIDE = Path("../../../outside.mp4")
"""What the link out of the data root leads to, when the files lie in ``raw/<name>`` of it."""
_UNEVEN = [0, 1, 2, 7, 8, 9, 20, 21, 22, 23, 40, 41, 60, 61, 62, 63, 64, 65, 90, 91, 92, 93, 94, 120]


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        write: writes it at a path.
        frames: of a right result; `ANY` where the encoder decides; None where it must fail.
        reason: regular expression found in the reason of the failure.
        first: number of its first frame.
        rotation: clockwise turn from stored to shown, in degrees.
        bits: of a frame's number that its pixels can show.
        cycle: frames after which the numbers begin again.
        name: of the file where it is not the kind's own; bytes that need not be text.
        is_file: whether there is something of its own to read at the path.
    """

    write: Callable[[Path], object]
    frames: int | None = None
    reason: str = r"\w"
    first: int = 0
    rotation: int = 0
    bits: int = 255
    cycle: int = 256
    name: bytes | None = None
    is_file: bool = True


def _right(write: Callable[[Path], object], frames: int = NUM_FRAMES, **more: object) -> Kind:
    return Kind(write, frames, **more)


def _wrong(write: Callable[[Path], object], reason: str = r"\w", **more: object) -> Kind:
    return Kind(write, None, reason, **more)


def _no_file(write: Callable[[Path], object], reason: str) -> Kind:
    return Kind(write, None, reason, is_file=False)


def _bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _altered(change: Callable[[bytes], bytes], **video: object) -> Callable[[Path], object]:
    """A sound video whose bytes are changed."""

    def write(path: Path) -> None:
        write_video(path, **video)
        path.write_bytes(change(path.read_bytes()))

    return write


def _cut(share: float, **video: object) -> Callable[[Path], object]:
    return _altered(lambda data: data[: int(len(data) * share) | 1], **video)


def _fast_start(share: float) -> Callable[[Path], object]:
    """Cut, with the index in front, so that the file opens."""
    return _cut(share, container_options={"movflags": "faststart"})


def _as(suffix: str, **video: object) -> Callable[[Path], object]:
    """Another container than the name says."""

    def write(path: Path) -> None:
        inner = write_video(path.with_name(f".inner{suffix}"), **video)
        inner.replace(path)

    return write


def _encoded(crf: int) -> Callable[[Path], object]:
    """A sound video; another ``crf`` is another file."""
    return lambda path: write_video(path, options={"crf": str(crf)})


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("video.mp4", bytes(1 << 20))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def _playlist(path: Path) -> None:
    target = path.with_name(".listed.ts")
    write_video(target)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile:{target}\n#EXT-X-ENDLIST\n")


def _concat(path: Path) -> None:
    target = path.with_name(".listed.mp4")
    write_video(target)
    path.write_text(f"ffconcat version 1.0\nfile '{target.name}'\n")


def _joined(path: Path) -> None:
    one = write_video(path.with_name(".one.ts"), options={"bf": "0"})
    path.write_bytes(one.read_bytes() * 2)


RUBBISH = {
    "zero_bytes.mp4": _wrong(_bytes(b""), "empty"),
    "one_byte.mp4": _wrong(_bytes(b"\0")),
    "text.mp4": _wrong(_bytes(b"this is no video\n" * 99), "not a readable video"),
    "html.webm": _wrong(_bytes(b"<!doctype html><title>404 Not Found</title>"), "not a readable video"),
    "zeros.mkv": _wrong(_bytes(bytes(100_000)), "not a readable video"),
    "noise.mp4": _wrong(_bytes(with_noise(bytes(1), 0, 100_000))),
    "magic_only.mkv": _wrong(_bytes(b"\x1aE\xdf\xa3")),
    "zip.mp4": _wrong(_zip, "not a readable video"),
    "elf.mp4": _wrong(_bytes(b"\x7fELF\x02\x01\x01" + bytes(4096)), "not a readable video"),
    "playlist.mp4": _wrong(_playlist, "not a readable video"),
    "concat_script.mp4": _wrong(_concat, "not a readable video"),
    "sdp.mp4": _wrong(_bytes(b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"), "not a readable video"),
    "lfs_pointer.mp4": _wrong(_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")),
}
CUT = {
    **{f"cut_{share}.mp4": _wrong(_cut(share / 100)) for share in (1, 20, 50, 80, 95)},
    **{f"cut_{share}_index_first.mp4": _wrong(_fast_start(share / 100)) for share in (20, 50, 80, 99)},
    **{f"cut_{share}.mkv": _wrong(_cut(share / 100)) for share in (10, 50, 90)},
    **{f"cut_{share}.webm": _wrong(_cut(share / 100, codec="libvpx-vp9")) for share in (30, 70)},
    "cut_60.avi": _wrong(_cut(0.6, codec="mpeg4")),
    "cut_60.ts": _right(_cut(0.6, options={"bf": "0"}), ANY),
    "cut_70.y4m": _wrong(lambda path: (write_raw(path), path.write_bytes(path.read_bytes()[:-5000])), "ends inside"),
    "last_byte_missing.mp4": _wrong(_altered(lambda data: data[:-1], container_options={"movflags": "faststart"})),
}
BOXES = {
    "no_moov.mp4": _wrong(_altered(lambda data: without_box(data, b"moov"))),
    "no_mdat.mp4": _wrong(_altered(lambda data: without_box(data, b"mdat"))),
    "no_sample_table.mp4": _wrong(_altered(lambda data: renamed(data, b"stbl", b"free"))),
    "no_sizes.mp4": _wrong(_altered(lambda data: renamed(data, b"stsz", b"free"))),
    "box_of_exabytes.mp4": _wrong(
        _altered(lambda data: struct.pack(">I4sQ", 1, b"mdat", 1 << 62) + data[data.index(b"moov") - 4 :])
    ),
    "samples_by_the_billion.mp4": _wrong(
        _altered(lambda data: changed(data, b"stsz", 4, struct.pack(">II", 1, 0xFFFFFFF0)))
    ),
    "sizes_of_gigabytes.mp4": _wrong(_altered(lambda data: changed(data, b"stsz", 12, b"\x7f\xff\xff\xff" * 8))),
    "offsets_past_the_end.mp4": _wrong(_altered(lambda data: changed(data, b"stco", 8, b"\x7f\xff\xff\xf0"))),
}
STREAMS = {
    "audio_only.mp4": _wrong(write_audio, "no video stream"),
    "audio_first.mkv": _right(lambda path: write_audio(path, with_video=True)),
    "cover_and_audio.mp4": _wrong(lambda path: write_audio(path, cover=True), "no video stream"),
    "cover_and_video.mp4": _right(write_with_cover),
    "two_videos.mkv": _right(write_two_videos),
    "mkv_named.mp4": _right(_as(".mkv")),
    "mp4_named.avi": _right(_as(".mp4")),
    "webm_named.mov": _right(_as(".webm", codec="libvpx-vp9")),
    "no_suffix": _right(_as(".mp4")),
    "bare_stream.h264": _right(lambda path: write_elementary(path, [(96, 64)], frames_each=NUM_FRAMES)),
    "joined.ts": _right(_joined, 2 * NUM_FRAMES, cycle=NUM_FRAMES),
    "resolution_changes.h264": _wrong(lambda path: write_elementary(path, [(96, 64), (64, 48)]), "frame size changes"),
    "resolution_changes_late.h264": _wrong(
        lambda path: write_elementary(path, [(96, 64)] * 3 + [(128, 96)], frames_each=6), "frame size changes"
    ),
}
SHORT = {
    "one_frame.mp4": _wrong(lambda path: write_video(path, num_frames=1), "1 frame"),
    "two_frames.mp4": _wrong(lambda path: write_video(path, num_frames=2), "2 frames"),
    "no_frames.y4m": _wrong(_bytes(b"YUV4MPEG2 W96 H64 F25:1\n"), "no frames"),
    "still.mp4": _wrong(lambda path: _as(".png", num_frames=1, codec="png", pix_fmt="rgb24")(path), "1 frame"),
}
SIZES = {
    "size_0_in_the_header.mp4": _right(_altered(lambda data: changed(data, b"avc1", 24, bytes(4)))),
    "size_0.y4m": _wrong(_bytes(b"YUV4MPEG2 W0 H0 F25:1\nFRAME\n"), "0x0"),
    "one_pixel.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="yuv444p", width=1, height=1), bits=1),
    "odd.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="yuv420p", width=97, height=63)),
    "one_row.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="gray", width=200, height=1), bits=15),
    "8k_header_nothing_behind.y4m": _wrong(_bytes(b"YUV4MPEG2 W7680 H4320 F25:1\nFRAME\n"), "ends inside"),
    "60k_header.y4m": _wrong(_bytes(b"YUV4MPEG2 W61440 H34560 F25:1\nFRAME\n" + bytes(4096)), "at most"),
    "8k_in_the_container.mp4": _right(
        _altered(lambda data: changed(data, b"avc1", 24, struct.pack(">HH", 7680, 4320)))
    ),
    "64k_in_the_container.mp4": _right(_altered(lambda data: changed(data, b"avc1", 24, b"\xff\xff\xff\xff"))),
    "60k_in_the_frame.avi": _wrong(
        _altered(
            lambda data: data.replace(b"\xff\xc0\x00\x11\x08\x00\x40\x00\x60", b"\xff\xc0\x00\x11\x08\xee\x40\xee\x60"),
            codec="mjpeg",
            pix_fmt="yuvj420p",
        )
    ),
}
TIMES = {
    "variable_rate.mp4": _right(lambda path: write_video(path, ticks=_UNEVEN)),
    "variable_rate.mkv": _right(lambda path: write_video(path, ticks=_UNEVEN)),
    "negative_times.mp4": _right(lambda path: remux(path, shift=-5120), NUM_FRAMES - 10, first=10),
    "negative_times.mkv": _right(lambda path: remux(path, shift=-400)),
    "huge_times.mkv": _right(lambda path: remux(path, shift=1 << 50)),
    "huge_times.mp4": _right(lambda path: remux(path, shift=1 << 40)),
    "edit_list.mp4": _right(
        lambda path: cut_by_edit_list(write_video(path, num_frames=48), first=10, num_frames=NUM_FRAMES), first=10
    ),
    "edit_list_past_the_end.mp4": _wrong(
        lambda path: cut_by_edit_list(write_video(path), first=4000, num_frames=NUM_FRAMES)
    ),
    "no_time_scale.mp4": _wrong(_altered(lambda data: changed(data, b"mdhd", 12, bytes(4)))),
}
TURNED = {
    f"rotated_{degrees}.mp4": _right(lambda path, degrees=degrees: rotate(write_video(path), degrees), rotation=degrees)
    for degrees in (90, 180, 270)
}
PIXELS = {
    "10_bit.mp4": _right(lambda path: write_video(path, codec="libx265", pix_fmt="yuv420p10le")),
    "12_bit.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="yuv420p12le")),
    "422.mp4": _right(lambda path: write_video(path, pix_fmt="yuv422p")),
    "444.mp4": _right(lambda path: write_video(path, pix_fmt="yuv444p")),
    "grey.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="gray")),
    "rgb.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="bgr0")),
    "alpha.mkv": _right(lambda path: write_video(path, codec="ffv1", pix_fmt="yuva420p")),
    "full_range.mp4": _right(lambda path: write_video(path, full_range=True)),
    "palette.gif": _right(lambda path: write_video(path, codec="gif", pix_fmt="rgb8")),
    "unknown_matrix.mp4": _wrong(lambda path: write_video(path, matrix=8), "colour matrix number 8"),
}
DAMAGED = {
    "noise_in_the_middle.mp4": _wrong(_altered(lambda data: with_noise(data, 0.3, len(data) // 2), texture=True)),
    "noise_in_the_middle.mkv": _wrong(_altered(lambda data: with_noise(data, 0.3, len(data) // 2), texture=True)),
    "noise_in_the_middle.ts": _wrong(_altered(lambda data: with_noise(data, 0.3, len(data) // 2), texture=True)),
    "zeros_in_the_middle.webm": _wrong(
        _altered(lambda data: data[: len(data) // 2] + bytes(300) + data[len(data) // 2 + 300 :], codec="libvpx-vp9")
    ),
    "first_key_frame_missing.mkv": _wrong(lambda path: remux(path, keep=lambda number: number > 0)),
    **{
        f"later_frames_missing.{suffix}": _wrong(
            lambda path: remux(path, keep=lambda number: not 8 <= number < 12), "pictures are missing before frame 8"
        )
        for suffix in ("mkv", "mp4", "ts")
    },
    "first_key_frame_missing.ts": _wrong(lambda path: remux(path, keep=lambda number: number > 0)),
}
NAMES = {
    "name_not_utf8": _wrong(_encoded(20), "rename the file", name=b"caf\xe9_\xff.mp4"),
    "name_with_a_newline": _right(_encoded(21), name=b"two\nlines.mp4"),
    "name_with_a_pattern": _right(_encoded(22), name=b"frame%03d.mp4"),
    "name_like_a_protocol": _right(_encoded(23), name=b"concat:a|b.mp4"),
    "name_like_an_option": _right(_encoded(24), name=b"-i --help.mp4"),
    "name_of_250_bytes": _right(_encoded(25), name=b"n" * 246 + b".mp4"),
    "name_with_markup": _right(_encoded(26), name=b"<script>alert(1)<script>.mp4"),
}
NO_FILES = {
    "missing.mp4": _no_file(lambda path: None, "cannot read the file|no such file"),
    "folder.mp4": _no_file(lambda path: path.mkdir(), "not a regular file"),
    "fifo.mp4": _no_file(os.mkfifo, "not a regular file"),
    "socket.mp4": _no_file(_socket, "not a regular file"),
    "link_out_of_the_root.mp4": _no_file(lambda path: path.symlink_to(OUTSIDE), "leaves the data root"),
    "link_to_a_device.mp4": _no_file(lambda path: path.symlink_to("/dev/zero"), "leaves the data root"),
    "link_to_nothing.mp4": _no_file(lambda path: path.symlink_to("nothing"), "cannot read the file"),
    "link_to_itself.mp4": _no_file(lambda path: path.symlink_to(path.name), "cannot read the file"),
}
KINDS: dict[str, Kind] = {
    **RUBBISH,
    **CUT,
    **BOXES,
    **STREAMS,
    **SHORT,
    **SIZES,
    **TIMES,
    **TURNED,
    **PIXELS,
    **DAMAGED,
    **NAMES,
    **NO_FILES,
}


def write_corpus(folder: Path) -> dict[str, Path]:
    """Writes one file of each kind.

    Args:
        folder: made when missing.

    Returns:
        Kind → its path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for kind, how in KINDS.items():
        path = paths[kind] = folder / (os.fsdecode(how.name) if how.name else kind)
        how.write(path)
    return paths


if __name__ == "__main__":
    print(f"{len(write_corpus(Path(sys.argv[1])))} files")
