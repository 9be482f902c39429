"""What a file says of its colour, its pixels' shape and its time is obeyed, or said in the record."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import pyav
from pipeline.video.decoders.auto import probe
from pipeline.video.pictures import Box
from tests import odd_videos as odd
from tests.videos import frame_pixels, write_video

OPTIONS = DecodeOptions()
PAIRS = [
    ("yuva420p", "yuv420p"),
    ("yuva444p", "yuv444p"),
    ("yuva422p10le", "yuv422p10le"),
    ("yuv420p10le", "yuv420p"),
    ("yuv444p12le", "yuv444p"),
    ("gray10le", "gray"),
]


def first_frame(path: Path) -> np.ndarray:
    with pyav.open(path, options=OPTIONS) as video:
        (_, picture) = next(iter(video.frames([0])))
        return picture.region(Box(0, 0, picture.height, picture.width)).astype(int)


@pytest.mark.parametrize("height", [64, 720])
@pytest.mark.parametrize(("pix_fmt", "plain"), PAIRS)
def test_every_layout_goes_through_one_colour_rule(pix_fmt: str, plain: str, height: int, tmp_path: Path) -> None:
    more = {"codec": "ffv1", "num_frames": 1, "height": height, "texture": True}
    one = first_frame(write_video(tmp_path / "one.mkv", pix_fmt=pix_fmt, **more))
    two = first_frame(write_video(tmp_path / "two.mkv", pix_fmt=plain, **more))
    depths_differ = ("10" in pix_fmt or "12" in pix_fmt) and not plain.endswith("le")
    assert np.abs(one - two).max() <= (4 if depths_differ else 0)


@pytest.mark.parametrize(("pix_fmt", "plain"), [("uyvy422", "yuv422p"), ("yuyv422", "yuv422p"), ("nv12", "yuv420p")])
@pytest.mark.parametrize("height", [64, 720])
def test_packed_samples_are_those_of_planes(pix_fmt: str, plain: str, height: int, tmp_path: Path) -> None:
    planar = write_video(tmp_path / "v.mkv", codec="ffv1", pix_fmt=plain, num_frames=1, height=height, texture=True)
    with av.open(str(planar)) as read, av.open(str(tmp_path / "packed.nut"), "w") as written:
        stream = written.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, height, pix_fmt
        for frame in read.decode(video=0):
            written.mux(stream.encode(frame.reformat(format=pix_fmt)))
        written.mux(stream.encode(None))
    assert probe(tmp_path / "packed.nut").pix_fmt == pix_fmt
    np.testing.assert_array_equal(first_frame(tmp_path / "packed.nut"), first_frame(planar))


@pytest.mark.parametrize("pix_fmt", ["bgr0", "rgb24", "gbrp10le"])
def test_rgb_is_what_it_was(pix_fmt: str, tmp_path: Path) -> None:
    codec = "ffv1" if pix_fmt != "rgb24" else "png"
    suffix = "mkv" if codec == "ffv1" else "mov"
    shown = first_frame(write_video(tmp_path / f"v.{suffix}", codec=codec, pix_fmt=pix_fmt, num_frames=1, texture=True))
    assert np.abs(shown - frame_pixels(0, texture=True)).max() <= 1


@pytest.mark.parametrize(
    ("transfer", "primaries", "matrix", "note"),
    [
        ("smpte2084", "bt2020", "bt2020nc", "HDR (PQ), shown without tone mapping"),
        ("arib-std-b67", "bt2020", "bt2020nc", "HDR (HLG), shown without tone mapping"),
        ("bt2020-10", "bt2020", "bt2020nc", "HDR (BT.2020), shown without tone mapping"),
        ("bt709", "bt709", "bt709", ""),
    ],
)
def test_hdr_is_recognised_and_may_be_refused(
    transfer: str, primaries: str, matrix: str, note: str, tmp_path: Path
) -> None:
    numbers = f"colorprim={primaries}:transfer={transfer}:colormatrix={matrix}"
    options = {"x265-params": f"log-level=none:pools=none:frame-threads=1:{numbers}"}
    path = write_video(tmp_path / "v.mkv", codec="libx265", pix_fmt="yuv420p10le", num_frames=8, options=options)
    info = probe(path)
    assert info.notes == ((note,) if note else ())
    assert info.record == "; ".join([info.decoder, *info.notes])
    if note:
        with pytest.raises(DecodeError, match=r"HDR .*refuse"):
            probe(path, DecodeOptions(refuse_hdr=True))


def test_pixels_that_are_not_square_are_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=2, options={"x264-params": "sar=64/45"})
    assert probe(path).notes == ("pixels of 64:45",)


def test_interlaced_video_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=4, options={"x264-params": "tff=1"})
    assert probe(path).notes == ("interlaced",)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_rate_that_the_header_has_wrong_comes_from_the_times(suffix: str, tmp_path: Path) -> None:
    right = write_video(tmp_path / f"right.{suffix}", num_frames=50, options={"bf": "0"})
    assert probe(right).fps == 25.0

    def slower(number: int, packet: av.Packet) -> av.Packet:
        packet.pts, packet.dts = packet.pts * 2, packet.dts * 2
        return packet

    info = probe(odd.copy_packets(right, tmp_path / f"slow.{suffix}", slower))
    assert info.fps == pytest.approx(12.5, rel=0.02)
    assert info.seconds == pytest.approx(4.0, rel=0.02)


def test_times_that_vary_are_told(tmp_path: Path) -> None:
    ticks = odd.jitter(40)
    info = probe(write_video(tmp_path / "v.mkv", num_frames=40, fps=1000, ticks=ticks))
    assert info.notes == ("variable rate",)
    assert info.times is not None
    np.testing.assert_allclose(info.times, np.array(ticks) / 1000, atol=2e-3)
    assert info.fps == pytest.approx(39 / (ticks[-1] / 1000), rel=0.02)
