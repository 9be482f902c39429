"""Tiny calibrated students for tests of scoring, whose clips are made from real videos."""

from pathlib import Path

import numpy as np
import torch

from pipeline.rendering.clips import clip_fingerprint
from pipeline.rendering.policy import ViewPolicy
from pipeline.students.shared.calibration import Calibration
from pipeline.students.shared.domain import fit_domain, video_vector
from pipeline.students.shared.model import StudentModel, create_student

POLICY = ViewPolicy(policy="fragments", sampling="uniform", num_frames=4, size=56, grid=2, antialias=False)
NUM_VIEWS = 3
TARGET_DIM = 48
CALIBRATION = Calibration(
    low=-10.0,
    high=110.0,
    slope=3.0,
    offset=-1.5,
    residual_std=5.0,
    interval_factor=2.0,
    dataset="x",
    score_name="MOS",
    scale_low=0.0,
    scale_high=100.0,
    num_videos=20,
    num_contents=20,
)
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2}


def make_student(
    name: str = "internvideo2", options: dict[str, object] | None = None, *, policy: ViewPolicy = POLICY, seed: int = 0
) -> StudentModel:
    """A student with random weights, a calibration and a domain around noise."""
    torch.manual_seed(seed)
    student = create_student(
        name,
        TINY if options is None else options,
        target_dim=TARGET_DIM,
        clip_shape=(policy.num_frames, policy.size, policy.size, 3),
    ).eval()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    config = student.config
    config.view = clip_fingerprint(policy, decoder="auto", short="fail")
    config.num_views = NUM_VIEWS
    config.calibrations = {"x": CALIBRATION.as_dict()}
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 256, (12, *config.clip_shape), np.uint8)
    with torch.no_grad():
        embeddings = student(torch.from_numpy(clips)).embedding.numpy()
    vectors = np.array([video_vector(row[None], clip[None]) for row, clip in zip(embeddings, clips, strict=True)])
    config.domain = fit_domain(vectors[:8], vectors[8:]).as_dict()
    config.provenance = {"distill": {"threads": 1}}
    return student


def save_student(folder: Path, **changes: object) -> Path:
    """Writes a model folder."""
    make_student(**changes).save_pretrained(folder)
    return folder
