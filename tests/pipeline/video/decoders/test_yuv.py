"""Raw video: what the name, the header and the options tell."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import yuv
from pipeline.video.pictures import Box
from tests.videos import index_of, write_raw

OPTIONS = DecodeOptions()


@pytest.mark.parametrize(
    ("name", "size", "fps", "pix_fmt"),
    [
        ("park_96x64_50fps.yuv", (96, 64), 50.0, "yuv420p"),
        ("BVI_Ball_96x64_29.97fps_10bit_yuv.yuv", (96, 64), 29.97, "yuv420p10le"),
        ("x_96x64_yuv420p10le.yuv", (96, 64), None, "yuv420p10le"),
        ("96x64.yuv", (96, 64), None, "yuv420p"),
    ],
)
def test_the_name_tells(tmp_path: Path, name: str, size: tuple[int, int], fps: float | None, pix_fmt: str) -> None:
    path = write_raw(tmp_path / name, depth=10 if pix_fmt.endswith("10le") else 8, num_frames=3)
    with yuv.open(path, options=OPTIONS) as video:
        info = video.info
        assert ((info.width, info.height), info.fps, info.pix_fmt, info.num_frames) == (size, fps, pix_fmt, 3)


def test_the_options_win_over_the_name(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "wrong_48x32.yuv", num_frames=2)
    options = DecodeOptions(raw_width=96, raw_height=64, raw_fps=24.0, raw_pix_fmt="yuv420p")
    with yuv.open(path, options=options) as video:
        assert video.info.fps == 24.0
        for index, picture in video.frames([1]):
            assert index_of(picture.region(Box(0, 0, 64, 96))) == index


def test_ten_bits_give_the_pixels_of_eight(tmp_path: Path) -> None:
    eight = write_raw(tmp_path / "a_96x64.yuv", num_frames=2)
    ten = write_raw(tmp_path / "a_96x64_10bit.yuv", num_frames=2, depth=10)
    with yuv.open(eight, options=OPTIONS) as one, yuv.open(ten, options=OPTIONS) as two:
        for (_, mine), (_, other) in zip(one.frames([0, 1]), two.frames([0, 1]), strict=True):
            box = Box(0, 0, 64, 96)
            np.testing.assert_array_equal(mine.region(box), other.region(box))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unknown.yuv", "size of unknown.yuv is not known"),
        ("wrong_98x64.yuv", "no whole number of frames"),
        ("zero_0x64.yuv", "not known"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        yuv.open(write_raw(tmp_path / name, num_frames=3), options=OPTIONS)


@pytest.mark.parametrize(
    "header",
    [
        b"YUV4MPEG2 W96 H64 F25:1 Ip C444\n",
        b"YUV4MPEG2 W96 F25:1\n",
        b"YUV4MPEG2 W96 H64 F25:0\n",
        b"YUV4MPEG2 W96 H64 F25:1:1\n",
        b"YUV4MPEG2 W-96 H64 F25:1\n",
        b"YUV4MPEG2 W96 H64 F25:1 It\n",
        b"YUV4MPEG2 " + b"x" * 5000,
        b"RIFF",
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "v.y4m"
    path.write_bytes(header + (b"FRAME\n" + bytes(96 * 64 * 3 // 2)) * 2)
    with pytest.raises(DecodeError):
        yuv.open(path, options=OPTIONS)


def test_samples_beyond_ten_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v_96x64_10bit.yuv"
    path.write_bytes(b"\xff" * (96 * 64 * 3))
    with yuv.open(path, options=OPTIONS) as video, pytest.raises(DecodeError, match="more than 10 bits"):
        list(video.frames([0]))
