"""The kinds of video that other tools show wrongly: the frames that a player shows, or the reason why not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import registry
from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import decord, pyav
from pipeline.video.pictures import Box, Picture
from tests import odd_videos as odd
from tests.videos import index_of, write_video

OPTIONS = DecodeOptions()
SEEKS_WRONGLY = ["all_sync.mp4", "intra_refresh.mp4", "sei.mp4", "two_descriptions.mp4"]
DECODERS = ["auto", "decord"] if decord.available() else ["auto"]


@dataclass(frozen=True)
class Kind:
    """What becomes of a file.

    Attributes:
        write: writes it.
        numbers: that its frames show.
        notes: in its record.
        reason: why it is refused instead.
    """

    write: Callable[[Path], object]
    numbers: range | list[int] = range(24)
    notes: tuple[str, ...] = ()
    reason: str = ""


KINDS = {
    "all_sync.mp4": Kind(odd.all_sync, range(60)),
    "intra_refresh.mp4": Kind(odd.intra_refresh, range(70)),
    "intra_refresh.ts": Kind(odd.intra_refresh, range(70)),
    **{f"fields.{suffix}": Kind(odd.field_coded, notes=("interlaced",)) for suffix in ("mp4", "mkv", "ts")},
    "size_change.webm": Kind(odd.size_change, reason="changes from 96x64 to 48x32 px at frame 12"),
    "thumbnail_first.mkv": Kind(odd.thumbnail_first, notes=("stream 1, one of 2 video streams",)),
    "thumbnail_first.mp4": Kind(odd.thumbnail_first, notes=("stream 1, one of 2 video streams",)),
    "large_one_of_two.mkv": Kind(odd.two_sizes, notes=("stream 1, one of 2 video streams",)),
    "default_one_of_two.mkv": Kind(lambda path: odd.two_sizes(path, 0), notes=("stream 0, one of 2 video streams",)),
    "enabled_one_of_two.mp4": Kind(lambda path: odd.two_sizes(path, 1), notes=("stream 1, one of 2 video streams",)),
    "sei.mp4": Kind(odd.bad_sei),
    "sei.mkv": Kind(odd.bad_sei),
    "filler.mp4": Kind(odd.with_filler),
    "h264_cut.mkv": Kind(odd.cut_by_copy, range(12, 60)),
    "h264_cut_hidden.mp4": Kind(lambda path: odd.cut_by_copy(path, shift_to=-7), range(19, 60)),
    **{
        f"hevc_cut.{suffix}": Kind(lambda path: odd.cut_by_copy(path, "libx265"), range(12, 60))
        for suffix in ("mkv", "mp4", "ts")
    },
    "hevc_cut_hidden.mp4": Kind(lambda path: odd.cut_by_copy(path, "libx265", shift_to=-5), range(17, 60)),
    "two_descriptions.mp4": Kind(odd.two_descriptions, [*range(24, 64), *range(24)]),
    "live_vp9.webm": Kind(odd.live, range(64)),
    "live_vp8.webm": Kind(lambda path: odd.live(path, "libvpx", odd.jitter()), range(64), ("variable rate",)),
    "clap.mp4": Kind(lambda path: odd.clap(write_video(path, height=96), 96, 64)),
}


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    for name, kind in KINDS.items():
        kind.write(folder / name)
    return {name: folder / name for name in KINDS}


def whole(picture: Picture) -> np.ndarray:
    return picture.region(Box(0, 0, picture.height, picture.width))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", KINDS)
def test_what_is_asked_for_comes_or_a_reason(decoder: str, name: str, kinds: dict[str, Path]) -> None:
    kind, module = KINDS[name], registry.find("video.decoders", decoder)
    try:
        with module.open(kinds[name], options=OPTIONS) as video:
            assert video.info.notes == kind.notes
            assert kind.reason or video.info.num_frames == len(kind.numbers)
            for every in (1, 3, 20):
                asked = range(0, video.info.num_frames, every)
                assert [index_of(whole(picture)) for _, picture in video.frames(asked)] == list(kind.numbers)[::every]
        found = ""
    except DecodeError as error:
        found = str(error)
    if decoder == "decord" and not kind.reason:
        assert not found or "decord" in found
    else:
        assert bool(found) == bool(kind.reason)
        assert kind.reason in found


@pytest.mark.parametrize("name", SEEKS_WRONGLY if decord.available() else [])
def test_decord_reads_forward_where_it_would_seek_wrongly(name: str, kinds: dict[str, Path]) -> None:
    with decord.open(kinds[name], options=OPTIONS) as video:
        asked = range(0, video.info.num_frames, 7)
        assert [index_of(whole(picture)) for _, picture in video.frames(asked)] == list(KINDS[name].numbers)[::7]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.reason])
def test_the_ends_of_a_sound_file_are_sound(name: str, kinds: dict[str, Path]) -> None:
    assert pyav.check_ends(kinds[name], options=OPTIONS).num_frames == len(KINDS[name].numbers)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda stored: stored),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((-1, 0, 0, -1), lambda stored: np.rot90(stored, 2)),
        ((0, 1, -1, 0), lambda stored: np.rot90(stored, -1)),
        ((0, -1, 1, 0), lambda stored: np.rot90(stored, 1)),
        ((0, 1, 1, 0), lambda stored: np.swapaxes(stored, 0, 1)),
        ((0, -1, -1, 0), lambda stored: np.swapaxes(np.rot90(stored, 2), 0, 1)),
    ],
)
@pytest.mark.parametrize(("width", "height"), [(96, 64), (97, 63)])
def test_frames_are_turned_and_mirrored(
    matrix: tuple[int, ...], shown: Callable[[np.ndarray], np.ndarray], width: int, height: int, tmp_path: Path
) -> None:
    more = {"width": width, "height": height, "texture": True, "num_frames": 2}
    plain = write_video(tmp_path / "v.mp4", pix_fmt="yuv420p" if width % 2 == 0 else "yuv444p", **more)
    with pyav.open(plain, options=OPTIONS) as video:
        stored = [whole(picture).copy() for _, picture in video.frames([0, 1])]
    with pyav.open(odd.display_matrix(plain, matrix), options=OPTIONS) as video:
        for (_, picture), pixels in zip(video.frames([0, 1]), stored, strict=True):
            assert (picture.height, picture.width) == (video.info.height, video.info.width)
            np.testing.assert_array_equal(whole(picture), shown(pixels))


@pytest.mark.parametrize(("right", "down"), [(0, 0), (6, -8), (3, 5), (-9, 1)])
def test_an_mp4_is_cropped_as_its_clean_aperture_says(right: int, down: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", texture=True, num_frames=1)
    with pyav.open(path, options=OPTIONS) as video:
        stored = whole(next(iter(video.frames([0])))[1]).copy()
    odd.clap(path, 71 + (right % 2 == 0), 43 + (down % 2 == 0), right, down)
    with pyav.open(path, options=OPTIONS) as video:
        height, width = video.info.height, video.info.width
        (_, picture) = next(iter(video.frames([0])))
        left, top = (96 - width + right) // 2, (64 - height + down) // 2
        np.testing.assert_array_equal(whole(picture), stored[top : top + height, left : left + width])
