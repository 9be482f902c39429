"""Missing frames of H.264 are told; whatever an encoder may legally write is not taken for a gap."""

from pathlib import Path

import av
import pytest

from pipeline.video.decoder import DecodeError
from pipeline.video.decoders.shared.h264 import FrameNumbers
from tests.faults.containers import remux
from tests.videos import write_video

LEGAL = [
    {"bf": "0"},
    {"bf": "3", "b_strategy": "0", "b-pyramid": "normal", "refs": "5"},
    {"intra-refresh": "1"},
    {"x264-params": "interlaced=1"},
    {"x264-params": "open-gop=1:keyint=6:bframes=3:slices=4"},
    {"profile": "baseline", "aud": "1"},
    {"x264-params": "cqm=jvt:nal-hrd=vbr:bitrate=300:vbv-maxrate=300:vbv-bufsize=300"},
]


def follow(path: Path) -> FrameNumbers:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        numbers = FrameNumbers(stream.codec_context.extradata)
        for packet in container.demux(stream):
            numbers.check(packet)
    return numbers


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("options", LEGAL, ids=str)
def test_a_whole_stream_has_no_gap(tmp_path: Path, options: dict[str, str], suffix: str) -> None:
    path = write_video(tmp_path / f"v.{suffix}", num_frames=40, width=64, height=48, options=options, texture=True)
    assert follow(path)._sequences


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p10le"])
def test_parameter_sets_of_high_profiles_are_read(tmp_path: Path, pix_fmt: str) -> None:
    (sequence,) = follow(write_video(tmp_path / "v.mp4", pix_fmt=pix_fmt))._sequences.values()
    assert sequence.number_bits >= 4
    assert not sequence.gaps_allowed


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_missing_frames_are_told(tmp_path: Path, suffix: str) -> None:
    remux(tmp_path / f"v.{suffix}", keep=lambda number: not 8 <= number < 12)
    with pytest.raises(DecodeError, match="frames are missing before packet 8"):
        follow(tmp_path / f"v.{suffix}")


@pytest.mark.parametrize("data", [b"", b"\1", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x67\x64" + bytes(40), bytes(64)])
def test_parameter_sets_that_cannot_be_read_say_nothing(data: bytes) -> None:
    numbers = FrameNumbers(data)
    numbers.check(av.Packet(data))
