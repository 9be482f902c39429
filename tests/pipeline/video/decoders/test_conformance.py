"""Every decoder of the folder: the right frames or a reason, never a wrong frame."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import registry
from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import pyav
from pipeline.video.pictures import Box
from tests.videos import HEIGHT, WIDTH, cut_by_edit_list, index_of, rotate, write_raw, write_video

NUM_FRAMES = 24
_UNEVEN = [0, 1, 2, 7, 8, 9, 20, 21, 22, 23, 40, 41, 60, 61, 62, 63, 64, 65, 90, 91, 92, 93, 94, 120]

VIDEOS: dict[str, Callable[[Path], Path]] = {
    "b_frames.mp4": lambda path: write_video(path),
    "hevc.mp4": lambda path: write_video(path, codec="libx265"),
    "uneven_rate.mp4": lambda path: write_video(path, ticks=_UNEVEN),
    "uneven_rate.mkv": lambda path: write_video(path, ticks=_UNEVEN),
    "no_count.webm": lambda path: write_video(path, codec="libvpx-vp9"),
    "no_count.mkv": lambda path: write_video(path),
    "av1.mp4": lambda path: write_video(path, codec="libsvtav1"),
    "ten_bit.mp4": lambda path: write_video(path, codec="libx265", pix_fmt="yuv420p10le"),
    "odd_size.mp4": lambda path: write_video(path, width=WIDTH + 1, height=HEIGHT + 1, pix_fmt="yuv444p"),
    "yuv422.mp4": lambda path: write_video(path, pix_fmt="yuv422p"),
    "full_range.mp4": lambda path: write_video(path, full_range=True),
    "tagged.mp4": lambda path: write_video(path, matrix=1),
    "packets_of_many.avi": lambda path: write_video(path, codec="mpeg4", options={"bf": "2"}),
    "transport.ts": lambda path: write_video(path),
    "edit_list.mp4": lambda path: cut_by_edit_list(write_video(path, num_frames=48), first=10, num_frames=NUM_FRAMES),
    "rotated.mp4": lambda path: rotate(write_video(path), 90),
    "upside_down.mp4": lambda path: rotate(write_video(path), 180),
    f"raw_{WIDTH}x{HEIGHT}_25fps.yuv": lambda path: write_raw(path),
    f"raw_{WIDTH}x{HEIGHT}_25fps_10bit.yuv": lambda path: write_raw(path, depth=10),
    "raw.y4m": lambda path: write_raw(path),
    "raw_10.y4m": lambda path: write_raw(path, depth=10),
    "raw_odd.y4m": lambda path: write_raw(path, width=WIDTH + 1, height=HEIGHT + 1),
}
FIRST_INDEX = {"edit_list.mp4": 10}
ROTATION = {"rotated.mp4": 90, "upside_down.mp4": 180}
RAW = {name for name in VIDEOS if name.startswith("raw")}
HEADERLESS = {name for name in RAW if name.endswith(".yuv")}
MUST_REFUSE = {"pyav": HEADERLESS, "decord": HEADERLESS | {"av1.mp4"}, "yuv": set(VIDEOS) - RAW, "auto": set()}
MAY_REFUSE = {"decord": {"odd_size.mp4", "ten_bit.mp4", "edit_list.mp4", "transport.ts", "raw_10.y4m"}}
"""decord agrees with PyAV or refuses."""
DECODERS = [name for name in registry.names("video.decoders") if registry.find("video.decoders", name).available()]
CHOICES = [[0], [NUM_FRAMES - 1], [0, 1, 2], [3, 9, 10, 17, NUM_FRAMES - 1], list(range(NUM_FRAMES))]


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {name: write(folder / name) for name, write in VIDEOS.items()}


def refusable(decoder: str, name: str) -> bool:
    return name in MUST_REFUSE[decoder] | MAY_REFUSE.get(decoder, set())


@pytest.mark.parametrize("decoder", DECODERS)
class TestEveryDecoder:
    def opened(self, decoder: str, path: Path, **options: int):
        return registry.find("video.decoders", decoder).open(path, options=DecodeOptions(**options))

    @pytest.mark.parametrize("name", VIDEOS)
    def test_the_right_frames_come_in_order(self, decoder: str, name: str, videos: dict[str, Path]) -> None:
        if refusable(decoder, name):
            with pytest.raises(DecodeError):
                self.opened(decoder, videos[name])
            return
        with self.opened(decoder, videos[name]) as video:
            info = video.info
            assert info.num_frames == NUM_FRAMES
            assert info.rotation == ROTATION.get(name, 0)
            odd = "odd" in name
            shown = (WIDTH + odd, HEIGHT + odd) if info.rotation != 90 else (HEIGHT, WIDTH)
            assert (info.width, info.height) == shown
            assert info.decoder
            for wanted in CHOICES:
                seen = []
                for index, picture in video.frames(wanted):
                    whole = picture.region(Box(0, 0, picture.height, picture.width))
                    assert whole.shape == (info.height, info.width, 3)
                    seen.append((index, index_of(np.rot90(whole, info.rotation // 90)) - FIRST_INDEX.get(name, 0)))
                assert seen == [(index, index) for index in wanted]

    @pytest.mark.parametrize("name", ["tagged.mp4", "raw.y4m"])
    def test_cropping_first_gives_the_same_pixels(self, decoder: str, name: str, videos: dict[str, Path]) -> None:
        if refusable(decoder, name):
            return
        with self.opened(decoder, videos[name]) as video:
            for _, picture in video.frames([5]):
                whole = picture.region(Box(0, 0, picture.height, picture.width)).copy()
                np.testing.assert_array_equal(picture.region(Box(7, 13, 30, 41)), whole[7:37, 13:54])
                rows, columns = np.array([[0, 63, 17]]), np.array([[95, 0, 31]])
                np.testing.assert_array_equal(picture.gather(rows, columns), whole[rows, columns])
                corners = [(0, 0), (7, 13), (picture.height - 30, picture.width - 30)]
                for square, (top, left) in zip(picture.squares(corners, 30), corners, strict=True):
                    np.testing.assert_array_equal(square, whole[top : top + 30, left : left + 30])
                converted = picture.whole(whole.size)
                assert converted is None or np.array_equal(converted, whole)

    def test_what_is_no_video_has_a_reason(self, decoder: str, tmp_path: Path) -> None:
        suffix = ".y4m" if decoder == "yuv" else ".mp4"
        (tmp_path / f"empty{suffix}").touch()
        (tmp_path / f"text{suffix}").write_text("this is no video\n" * 50)
        (tmp_path / f"folder{suffix}").mkdir()
        for name in ("empty", "text", "folder", "missing"):
            with pytest.raises(DecodeError, match=r"\w"):
                self.opened(decoder, tmp_path / f"{name}{suffix}")

    @pytest.mark.parametrize(
        "name", ["b_frames.mp4", "no_count.mkv", "no_count.webm", "raw.y4m", f"raw_{WIDTH}x{HEIGHT}_25fps.yuv"]
    )
    def test_a_file_cut_short_never_repeats_a_frame(
        self, decoder: str, name: str, videos: dict[str, Path], tmp_path: Path
    ) -> None:
        data = videos[name].read_bytes()
        for share in (0.3, 0.6, 0.9):
            path = tmp_path / name
            path.write_bytes(data[: int(len(data) * share) | 1])
            with pytest.raises(DecodeError), self.opened(decoder, path) as video:
                list(video.frames(list(range(NUM_FRAMES))))

    def test_frames_outside_the_video_are_refused(self, decoder: str, videos: dict[str, Path]) -> None:
        name = "raw.y4m" if decoder == "yuv" else "b_frames.mp4"
        with self.opened(decoder, videos[name]) as video:
            with pytest.raises(DecodeError, match="frame 24 was asked for"):
                list(video.frames([NUM_FRAMES]))
            with pytest.raises(ValueError, match="ascending"):
                list(video.frames([3, 3]))

    def test_frames_too_large_are_refused_before_memory_is_taken(self, decoder: str, videos: dict[str, Path]) -> None:
        name = "raw.y4m" if decoder == "yuv" else "b_frames.mp4"
        with pytest.raises(DecodeError):
            self.opened(decoder, videos[name], max_frame_pixels=1000)


@pytest.mark.parametrize("decoder", [name for name in DECODERS if name not in ("pyav", "yuv")])
@pytest.mark.parametrize(
    ("codec", "suffix", "matrix"),
    [
        ("libx264", "mp4", None),
        ("libx264", "mkv", 1),
        ("libx264", "mp4", 5),
        ("libx265", "mp4", 6),
        ("libvpx-vp9", "webm", None),
    ],
)
def test_bytes_equal_those_of_pyav(decoder: str, codec: str, suffix: str, matrix: int | None, tmp_path: Path) -> None:
    path = write_video(
        tmp_path / f"v.{suffix}", codec=codec, matrix=matrix, width=130, height=98, texture=True, num_frames=12
    )
    box = Box(0, 0, 98, 130)
    options = DecodeOptions()
    with (
        registry.find("video.decoders", decoder).open(path, options=options) as mine,
        pyav.open(path, options=options) as other,
    ):
        assert decoder == "auto" or not mine.info.decoder.startswith("pyav")
        for (_, one), (_, two) in zip(mine.frames(range(12)), other.frames(range(12)), strict=True):
            np.testing.assert_array_equal(one.region(box), two.region(box))


def test_there_is_more_than_one_decoder() -> None:
    assert {"auto", "pyav", "yuv"} <= set(DECODERS)
