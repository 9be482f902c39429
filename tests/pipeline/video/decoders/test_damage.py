"""Only damage to what is shown is damage: complaints beside the damage that looks like them, and reasons in words."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import pyav
from tests import odd_videos as odd
from tests.videos import write_video


def decoded(path: Path, threads: int = 1) -> int:
    with pyav.open(path, options=DecodeOptions(threads=threads)) as video:
        return sum(1 for _ in video.frames(range(video.info.num_frames)))


def spoilt(path: Path, codec: str = "libx264", at: int = 12, **more: object) -> Path:
    """A video with a packet that ends too soon."""
    whole = write_video(path.with_name(f".whole{path.suffix}"), codec=codec, texture=True, **more)

    def change(number: int, packet: av.Packet) -> av.Packet:
        data = bytes(packet)
        return odd.with_bytes(packet, data[: len(data) // 3] if number == at else data)

    return odd.copy_packets(whole, path, change)


def without(path: Path, packets: range, codec: str, **more: object) -> Path:
    """A video that lacks packets."""
    whole = write_video(path.with_name(f".whole{path.suffix}"), codec=codec, num_frames=40, **more)
    return odd.copy_packets(whole, path, lambda number, packet: None if number in packets else packet)


X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1:keyint=40:bframes=0"}
PAIRS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path], str]] = {
    "a message that is too short; a slice that is": (
        odd.bad_sei,
        lambda path: spoilt(path, options={"bf": "0"}),
        "frame 12 is damaged: the decoder reports “",
    ),
    "units of other kinds; pictures that are not there": (
        odd.with_filler,
        lambda path: without(path, range(8, 12), "libx264", options={"bf": "0"}),
        "pictures are missing before frame 8: the numbers of the stored pictures jump",
    ),
    "hidden frames without references; shown ones": (
        lambda path: odd.cut_by_copy(path, "libx265", shift_to=-5),
        lambda path: without(path, range(9, 10), "libx265", options=X265, width=128, height=128),
        "frame 9 is damaged: it lacks a reference picture that is not in the file",
    ),
    "a first picture that is hidden; one that is shown": (
        lambda path: odd.cut_by_copy(path, shift_to=-7),
        lambda path: spoilt(path, "mpeg4", options={"g": "12"}),
        "frame 12 is damaged: the decoder reports “",
    ),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_complaint_is_no_damage_and_damage_has_its_reason(kind: str, tmp_path: Path) -> None:
    complaint, damage, reason = PAIRS[kind]
    assert decoded(complaint(tmp_path / "sound.mp4")) >= 24
    path, reasons = damage(tmp_path / "spoilt.mp4"), []
    for threads in (1, 3):
        with pytest.raises(DecodeError) as refused:
            decoded(path, threads)
        reasons.append(str(refused.value))
    assert reasons[0] == reasons[1]
    assert reason in reasons[0]
    assert "Invalid data" not in reasons[0]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt"),
    [("libx264", "mkv", "yuv420p"), ("mpeg2video", "ts", "yuv420p"), ("mjpeg", "mkv", "yuvj420p")],
)
def test_a_packet_cut_short_never_passes(codec: str, suffix: str, pix_fmt: str, place: int, tmp_path: Path) -> None:
    path = spoilt(tmp_path / f"cut.{suffix}", codec, (3, 11, 19)[place], pix_fmt=pix_fmt)
    with pytest.raises(DecodeError, match=r"frame \d+ is damaged|missing before frame \d+"):
        decoded(path)
