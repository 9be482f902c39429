"""What only PyAV's decoder is asked: colour tags, counting, hostile names."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import pyav
from pipeline.video.decoders.auto import probe
from pipeline.video.pictures import Box
from tests.videos import rotate, write_video

OPTIONS = DecodeOptions()


def test_untagged_hd_is_bt709_and_the_rest_bt601(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.mp4", num_frames=2, texture=True)
    tagged = write_video(tmp_path / "tagged.mp4", num_frames=2, texture=True, matrix=5)
    hd = write_video(tmp_path / "hd.mp4", num_frames=2, texture=True, width=64, height=720)
    hd_tagged = write_video(tmp_path / "hd_tagged.mp4", num_frames=2, texture=True, width=64, height=720, matrix=1)
    for untagged, explicit in ((small, tagged), (hd, hd_tagged)):
        with pyav.open(untagged, options=OPTIONS) as one, pyav.open(explicit, options=OPTIONS) as two:
            box = Box(0, 0, one.info.height, one.info.width)
            for (_, mine), (_, other) in zip(one.frames([0, 1]), two.frames([0, 1]), strict=True):
                np.testing.assert_array_equal(mine.region(box), other.region(box))
                assert int(np.ptp(mine.region(box))) > 100


def test_a_portrait_video_counts_its_shown_height(tmp_path: Path) -> None:
    path = rotate(write_video(tmp_path / "v.mp4", num_frames=3, width=720, height=64), 90)
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (64, 720, 90)


def test_damage_in_the_middle_is_a_reason_not_a_guess(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", texture=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(3).bytes(2000)
    path.write_bytes(data)
    with pytest.raises(DecodeError), pyav.open(path, options=OPTIONS) as video:
        list(video.frames(range(video.info.num_frames)))


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", num_frames=2)
    for name, text in (
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nv.mp4\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", "ffconcat version 1.0\nfile v.mp4\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DecodeError):
            pyav.open(tmp_path / name, options=OPTIONS)


@pytest.mark.parametrize("name", ["with space.mp4", "at:colon?.mp4", "ümlaut.mp4", "%03d.mp4", "-dash.mp4"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    assert probe(write_video(tmp_path / "v.mp4", num_frames=2).rename(tmp_path / name)).num_frames == 2


def test_frames_can_be_asked_for_twice_and_backwards(tmp_path: Path) -> None:
    with pyav.open(write_video(tmp_path / "v.mp4"), options=OPTIONS) as video:
        assert [[index for index, _ in video.frames(wanted)] for wanted in ([5, 9], [12], [1, 2])] == [
            [5, 9],
            [12],
            [1, 2],
        ]


def test_too_many_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="more than 10 frames"):
        pyav.open(write_video(tmp_path / "v.mp4"), options=DecodeOptions(max_frames=10))
