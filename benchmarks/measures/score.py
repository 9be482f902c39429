"""``teachonce score`` of ten seconds of 1080p on one core, against decoding the frames that it needs."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figure, Setting, at_most, in_turn
from benchmarks.material import CLIP_SHAPE, VIEW, distill_settings
from benchmarks.measures.start_up import teachonce
from pipeline.core.registry import find
from pipeline.rendering.clips import clip_fingerprint
from pipeline.rendering.views import draw_view
from pipeline.scoring.export import export_onnx
from pipeline.scoring.scorer import QualityScorer
from pipeline.scoring.segments import Span
from pipeline.students.shared.calibration import fit_calibration
from pipeline.students.shared.clip_statistics import NUM_STATISTICS
from pipeline.students.shared.domain import fit_domain
from pipeline.students.shared.model import create_student, load_student
from pipeline.synthesis.encoding import Recipe, encode
from pipeline.synthesis.planes import Video420
from pipeline.video.decoder import DecodeOptions

LIMIT = "the decoder alone, on the frames that the views and the curve's points are cut from; no process is started"
_VIEWS, _FPS = 4, 25


def figures(setting: Setting) -> Iterator[Figure]:
    """The command as a whole, start-up included; and a scorer that is loaded already. One core for all."""
    seconds = setting.size(10, 2)
    video = setting.folder / "video.mp4"
    height, width = (1080, 1920) if not setting.small else (180, 320)
    recipe = Recipe(codec="h264", crf=26, preset="veryfast", gop=50, fps=_FPS)
    video.write_bytes(encode(_source(seconds * _FPS, height, width), recipe))
    student = _write_student(setting.folder / "student")
    frames = _frames(seconds * _FPS, height, width)

    def decode() -> None:
        with find("video.decoders", "auto").open(video, options=DecodeOptions()) as opened:
            if sum(1 for _ in opened.frames(frames)) != len(frames):
                raise RuntimeError("a frame is missing")

    onnx = setting.folder / "student.onnx"
    export_onnx(load_student(student), onnx)
    command = [*teachonce(), "score", str(video), "--json", "--model"]
    torch.set_num_threads(1)
    with _one_core(), QualityScorer.from_pretrained(student, threads=1) as scorer:
        for what, work, goal in (
            ("a video, the scorer loaded", lambda: scorer.score(video), None),
            ("teachonce score, the whole command", lambda: _run([*command, str(student)]), at_most(1.5)),
            ("the same from the ONNX file", lambda: _run([*command, str(onnx)]), None),
        ):
            turns = in_turn(work, decode, setting.rounds)
            yield Figure(
                what=what,
                against=f"decoding the {len(frames)} frames it needs",
                ratios=turns.time_ratios(),
                goal=goal,
                detail={"frames_of_the_video": seconds * _FPS, **turns.detail()},
            )


def _frames(num_frames: int, height: int, width: int) -> list[int]:
    """The frames of all views of the only segment, and of the first view of each second."""
    spans = [(Span(0, num_frames), view) for view in range(_VIEWS)]
    spans += [(Span(start, start + _FPS), 0) for start in range(0, num_frames, _FPS)]
    wanted = set()
    for span, view in spans:
        drawn = draw_view(
            VIEW,
            num_frames=span.stop - span.start,
            height=height,
            width=width,
            digest="0" * 64,
            view=view,
            repeat=False,
        )
        wanted |= {span.start + index for index in drawn.frames}
    return sorted(wanted)


def _source(num_frames: int, height: int, width: int) -> Video420:
    """Drifting texture with grain: quick to make, and as hard to decode as a film."""
    random = np.random.default_rng(0)
    coarse = np.kron(random.integers(40, 200, (height // 8 + 40, width // 8 + 40)), np.ones((8, 8), np.uint8))
    grain = random.integers(0, 12, (height + 64, width + 64))
    planes = []
    for index in range(num_frames):
        at, shift = index % 256, (index * 29) % 64
        planes.append(coarse[at : at + height, at : at + width] + grain[shift : shift + height, shift : shift + width])
    chroma = np.full((num_frames, height // 2, width // 2), 128, np.uint8)
    return Video420(np.stack(planes).astype(np.uint8), chroma, chroma)


def _write_student(folder: Path) -> Path:
    torch.manual_seed(0)
    settings = distill_settings()
    options = settings.options.get(settings.student, {})
    student = create_student(settings.student, options, target_dim=256, clip_shape=CLIP_SHAPE, grid=VIEW.grid).eval()
    scores, mos = np.linspace(0, 1, 20), np.linspace(5, 95, 20)
    calibration = fit_calibration(scores, mos, dataset="benchmark", score_name="none", scale_low=0.0, scale_high=100.0)
    config = student.config
    config.view, config.num_views = clip_fingerprint(VIEW, decoder="auto", short="fail"), _VIEWS
    config.calibrations = {"benchmark": calibration.as_dict()}
    with torch.inference_mode():
        width = student(torch.zeros(1, *CLIP_SHAPE, dtype=torch.uint8)).embedding.shape[-1]
    embeddings = np.random.default_rng(0).normal(size=(12, width + NUM_STATISTICS))
    config.domain = fit_domain(embeddings[:8], embeddings[8:]).as_dict()
    config.provenance = {"distill": {"threads": 1}}
    student.save_pretrained(folder)
    return folder


@contextmanager
def _one_core() -> Iterator[None]:
    """Keeps this process and those it starts on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
