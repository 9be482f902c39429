"""Whatever the codec, the container and the groups of pictures: the frame that is asked for is the one that comes."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.video.decoder import DecodeOptions
from pipeline.video.decoders import pyav
from pipeline.video.pictures import Box
from tests import odd_videos as odd
from tests.videos import index_of, write_video

NUM_FRAMES = 40
X265 = "log-level=none:pools=none:frame-threads=1:keyint=10:min-keyint=10:scenecut=0"
GROUPS: dict[str, dict[str, dict[str, str]]] = {
    "libx264": {
        "closed": {"bf": "2", "g": "10"},
        "open": {"bf": "3", "x264-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0"},
        "pyramid": {"bf": "5", "b_strategy": "0", "x264-params": "b-pyramid=normal:keyint=20:ref=5"},
        "refresh": {"bf": "0", "x264-params": "intra-refresh=1:keyint=10"},
        "interlaced": {"bf": "2", "g": "10", "x264-params": "tff=1"},
        "keys": {"g": "1"},
        "baseline": {"bf": "0", "g": "10", "profile": "baseline"},
        "slices": {"bf": "2", "g": "10", "x264-params": "slices=4"},
    },
    "libx265": {
        "closed": {"x265-params": f"{X265}:open-gop=0:bframes=3:b-adapt=0"},
        "open": {"x265-params": f"{X265}:open-gop=1:bframes=3:b-adapt=0"},
        "pyramid": {"x265-params": f"{X265}:bframes=4:b-adapt=0:b-pyramid=1"},
        "refresh": {"x265-params": f"{X265}:intra-refresh=1:bframes=0"},
        "fields": {"x265-params": f"{X265}:interlace=tff:bframes=0"},
        "keys": {"x265-params": X265.replace("=10", "=1")},
    },
    "libvpx-vp9": {
        "closed": {"g": "10"},
        "hidden": {"g": "20", "lag-in-frames": "12", "auto-alt-ref": "1", "deadline": "good", "cpu-used": "5"},
    },
    "libvpx": {"closed": {"g": "10"}, "hidden": {"g": "20", "lag-in-frames": "12", "auto-alt-ref": "1"}},
    "libsvtav1": {
        "closed": {"g": "10"},
        "open": {"svtav1-params": "lp=1:irefresh-type=1:keyint=10"},
    },
    "mpeg4": {"closed": {"g": "10"}, "pyramid": {"bf": "2", "g": "10"}},
    "mpeg2video": {"closed": {"g": "10", "bf": "2"}, "keys": {"g": "1"}},
    "mjpeg": {"keys": {}},
    "prores_ks": {"keys": {}},
    "ffv1": {"keys": {}},
    "flv": {"closed": {"g": "10"}},
    "wmv2": {"closed": {"g": "10"}},
    "huffyuv": {"keys": {}},
    "dnxhd": {"keys": {"profile": "dnxhr_sq"}},
    "utvideo": {"keys": {}},
    "rawvideo": {"keys": {}},
    "png": {"keys": {}},
}
CONTAINERS: dict[str, tuple[str, ...]] = {
    "libx264": ("mp4", "mkv", "ts", "mov", "avi", "flv", "h264", "3gp", "m2ts"),
    "libx265": ("mp4", "mkv", "ts", "mov", "hevc"),
    "libvpx-vp9": ("webm", "mkv", "mp4", "ivf"),
    "libvpx": ("webm", "mkv", "ivf"),
    "libsvtav1": ("mp4", "mkv", "webm", "ivf", "obu"),
    "mpeg4": ("mp4", "mkv", "avi", "mov"),
    "mpeg2video": ("ts", "mpg", "vob", "mkv", "mxf", "m2v"),
    "mjpeg": ("mkv", "avi", "mov"),
    "prores_ks": ("mov", "mkv", "mxf"),
    "flv": ("flv",),
    "wmv2": ("wmv", "avi"),
    "dnxhd": ("mov", "mxf"),
    "rawvideo": ("avi", "mkv"),
    "huffyuv": ("avi",),
    "utvideo": ("avi",),
    "png": ("avi", "mov"),
}
PIX_FMTS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "huffyuv": "yuv422p", "dnxhd": "yuv422p", "png": "rgb24"}
SIZES = {"dnxhd": (256, 128), "libsvtav1": (96, 64)}
ALL = [
    (codec, group, container)
    for codec, groups in GROUPS.items()
    for group, container in itertools.product(groups, CONTAINERS.get(codec, ("mkv", "avi")))
]
QUICK = {("libx264", "mp4"), ("libx264", "ts"), ("libx265", "mp4"), ("libvpx-vp9", "webm"), ("libsvtav1", "mkv")}
CHANGES: dict[str, Callable[[Path], Path]] = {
    "no_sync_table": lambda path: odd.renamed_box(path, b"stss"),
    "rewrapped": lambda path: odd.copy_packets(path, path.with_name(f"again{path.suffix}"), lambda _, packet: packet),
}


def cases() -> list[object]:
    return [
        pytest.param(*case, id="-".join(case), marks=() if (case[0], case[2]) in QUICK else pytest.mark.slow)
        for case in ALL
    ]


def written(path: Path, codec: str, group: str) -> Path:
    width, height = SIZES.get(codec, (128, 96))
    more = {"width": width, "height": height, "pix_fmt": PIX_FMTS.get(codec, "yuv420p")}
    return write_video(path, codec=codec, num_frames=NUM_FRAMES, options=GROUPS[codec][group], **more)


def check(path: Path, first: int = 0, shown: int = NUM_FRAMES) -> None:
    """Asks for frames in several ways, by one thread and by three."""
    for threads, asked in ((1, range(0, shown, 3)), (3, range(shown)), (1, [shown - 1]), (1, [shown // 2])):
        with pyav.open(path, options=DecodeOptions(threads=threads)) as video:
            assert video.info.num_frames == shown
            seen = [
                index_of(picture.region(Box(0, 0, picture.height, picture.width))) for _, picture in video.frames(asked)
            ]
            assert seen == [first + index for index in asked]
    assert pyav.check_ends(path, options=DecodeOptions()).num_frames == shown


@pytest.mark.parametrize(("codec", "group", "container"), cases())
def test_asked_is_got(codec: str, group: str, container: str, tmp_path: Path) -> None:
    check(written(tmp_path / f"v.{container}", codec, group))


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("codec", "group", "container"),
    [case for case in ALL if case[2] in ("mp4", "mov") and case[0] in ("libx264", "libx265", "mpeg4")],
)
def test_asked_is_got_of_a_changed_file(codec: str, group: str, container: str, change: str, tmp_path: Path) -> None:
    check(CHANGES[change](written(tmp_path / f"v.{container}", codec, group)))


@pytest.mark.parametrize("start", range(8, 14))
@pytest.mark.parametrize("codec", ["libx264", pytest.param("libx265", marks=pytest.mark.slow)])
def test_asked_is_got_of_a_file_cut_by_stream_copy(codec: str, start: int, tmp_path: Path) -> None:
    path = odd.cut_by_copy(tmp_path / "v.mkv", codec, first=start, num_frames=50)
    begin = 12 * -(-start // 12)
    check(path, first=begin, shown=50 - begin)


def test_times_that_vary_change_no_frame(tmp_path: Path) -> None:
    steps = np.random.default_rng(1).integers(1, 9, NUM_FRAMES)
    for suffix in ("mp4", "mkv", "webm"):
        codec = "libvpx-vp9" if suffix == "webm" else "libx264"
        check(
            write_video(tmp_path / f"v.{suffix}", codec=codec, num_frames=NUM_FRAMES, ticks=np.cumsum(steps).tolist())
        )
