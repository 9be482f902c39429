"""Memory stays bounded however long or large a video is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.scoring_models import save_student
from tests.videos import write_video

CODE = """
import re, resource, sys
from pathlib import Path
from pipeline.scoring.scorer import QualityScorer
with QualityScorer.from_pretrained(sys.argv[1]) as scorer:
    result = scorer.score(sys.argv[2])
print(round(result.seconds), len(result.segments), len(result.curve))
own = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Its own peak comes from the kernel's record of this very program: ``ru_maxrss`` keeps that of whoever started it."""
MEGABYTES = 1024
"""In the kibibytes in which Linux counts."""


def peak(model: Path, video: Path) -> tuple[list[int], int, int]:
    """What was scored (seconds, segments, windows), and the most memory of the model's and of the decoder's process."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(model), str(video)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    own, decoder = (int(number) // MEGABYTES for number in done[1].split())
    return [int(number) for number in done[0].split()], own, decoder


def repeat(short: Path, path: Path, times: int) -> Path:
    """Writes a video that shows another one many times, without encoding it again."""
    import av

    with av.open(str(short)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        ticks = sum(packet.duration for packet in packets)
        stored = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, packet.duration) for packet in packets]
        for number in range(times):
            for data, pts, dts, is_key, duration in stored:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = pts + number * ticks, dts + number * ticks, duration
                packet.time_base, packet.stream, packet.is_keyframe = packets[0].time_base, stream, is_key
                output.mux(packet)
    return path


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    model = save_student(tmp_path / "model")
    short = write_video(tmp_path / "s.mp4", num_frames=250, texture=True, options={"bf": "0"})
    _, minute_own, minute_decoder = peak(model, repeat(short, tmp_path / "minute.mp4", 6))
    scored, own, decoder = peak(model, repeat(short, tmp_path / "hour.mp4", 360))
    assert scored == [3600, 360, 3600]
    assert own < 1024, f"the model's process took {own} MB"
    assert decoder < 1024, f"the decoder's process took {decoder} MB"
    assert own - minute_own < 100
    assert decoder - minute_decoder < 100


@pytest.mark.slow
def test_4k_is_never_held_as_a_whole(tmp_path):
    model = save_student(tmp_path / "model")
    video = write_video(tmp_path / "4k.mp4", num_frames=48, width=3840, height=2160, options={"preset": "ultrafast"})
    scored, own, decoder = peak(model, video)
    assert scored == [2, 1, 1]
    assert own < 1024, f"the model's process took {own} MB"
    assert decoder < 1024, f"the decoder's process took {decoder} MB; 48 RGB frames would take 1,194 MB alone"
