"""Frame rules, resizing and normalisation are the official ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.pixels import PixelsError, normalise
from pipeline.rendering.sampling import (
    FRAME_RULES,
    PreprocessingError,
    frame_indices,
    middle_indices,
    uniform_indices,
    window_indices,
)
from pipeline.teachers.shared.preprocessing import FINETUNED, STAGE2, Preprocessing
from tests.pipeline.models.official_preprocessing import preprocess, resize_and_crop, squash


@pytest.mark.parametrize(
    ("num_frames", "wanted", "expected"),
    [
        (300, 8, [18, 55, 93, 130, 168, 205, 242, 280]),
        (8, 8, [0, 1, 2, 3, 4, 4, 5, 6]),
        (1, 4, [0, 0, 0, 0]),
        (64, 8, [3, 11, 19, 27, 35, 42, 50, 58]),
        (17, 8, [1, 3, 5, 7, 9, 11, 13, 15]),
    ],
)
def test_uniform_rule(num_frames: int, wanted: int, expected: list[int]) -> None:
    assert uniform_indices(num_frames, wanted).tolist() == expected


def test_uniform_rule_rounds_half_to_even() -> None:
    """np.round and Python's int() of the official code, not rounding half up."""
    assert uniform_indices(5, 8).tolist() == [0, 0, 1, 2, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("num_frames", "wanted", "expected"),
    [
        (300, 4, [37, 112, 187, 262]),
        (10, 4, [0, 3, 5, 8]),
        (4, 4, [0, 1, 2, 3]),
        (3, 8, [0, 1, 2, 2, 2, 2, 2, 2]),
        (1, 4, [0, 0, 0, 0]),
    ],
)
def test_middle_rule(num_frames: int, wanted: int, expected: list[int]) -> None:
    assert middle_indices(num_frames, wanted).tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "start", "expected"),
    [
        (64, None, [0, 8, 16, 24, 32, 40, 48, 56]),
        (100, None, [18, 26, 34, 42, 50, 58, 66, 74]),
        (100, 36, [36, 44, 52, 60, 68, 76, 84, 92]),
        (30, None, [0, 8, 16, 24, 29, 29, 29, 29]),
    ],
)
def test_window_rule(num_frames: int, start: int | None, expected: list[int]) -> None:
    assert window_indices(num_frames, 8, start=start).tolist() == expected


@given(st.sampled_from(sorted(FRAME_RULES)), st.integers(1, 2000), st.integers(1, 32))
def test_every_rule_stays_in_the_video_and_in_order(rule: str, num_frames: int, wanted: int) -> None:
    indices = frame_indices(rule, num_frames, wanted)
    assert indices.dtype == np.int64
    assert len(indices) == wanted
    assert (np.diff(indices) >= 0).all()
    assert 0 <= indices[0] <= indices[-1] < num_frames


def test_refused_frame_requests() -> None:
    with pytest.raises(PreprocessingError, match=r"unknown sampling 'midle'; known: .*did you mean 'middle'"):
        frame_indices("midle", 10, 4)
    for rule in FRAME_RULES:
        with pytest.raises(PreprocessingError, match="both must be at least 1"):
            frame_indices(rule, 0, 4)
    with pytest.raises(PreprocessingError, match=r"start: got 10, expected a frame in 0 \.\. 9"):
        window_indices(10, 4, start=10)
    with pytest.raises(PreprocessingError, match="stride: got 0"):
        window_indices(10, 4, stride=0)


def test_the_two_families() -> None:
    assert (FINETUNED.sampling, FINETUNED.policy, FINETUNED.interpolation) == ("uniform", "resize", "bilinear")
    assert (STAGE2.sampling, STAGE2.policy, STAGE2.interpolation) == ("middle", "squash", "bicubic")
    assert FINETUNED.antialias is STAGE2.antialias is False
    assert FINETUNED.mean == STAGE2.mean == (0.485, 0.456, 0.406)
    assert FINETUNED.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize(("height", "width"), [(240, 427), (427, 240), (224, 300), (100, 100), (1080, 1920)])
def test_short_side_and_centre_crop(height: int, width: int) -> None:
    """A horizontal and a vertical ramp keep their slope and their middle."""
    rows = torch.linspace(0, 255, height)[:, None].expand(height, width)
    columns = torch.linspace(0, 255, width).expand(height, width)
    frames = torch.stack([rows, columns, rows], dim=-1)[None].round().to(torch.uint8)
    clip = resize_and_crop(frames, FINETUNED)
    assert clip.shape == (1, 224, 224, 3)
    assert clip.dtype == torch.uint8
    centre = clip[0, 111:113, 111:113].float().mean((0, 1))
    assert (centre - 127.5).abs().max() < 1.5
    slope = clip[0, 223, 112, 0].float() - clip[0, 0, 112, 0].float()
    assert slope.item() == pytest.approx(255 * min(1.0, width / height if height > width else 1.0), abs=4)


def test_nothing_is_resized_that_has_the_size() -> None:
    frames = torch.randint(0, 256, (2, 224, 320, 3), dtype=torch.uint8)
    assert torch.equal(resize_and_crop(frames, FINETUNED), frames[:, :, 48:272])


def test_squash_keeps_the_whole_frame() -> None:
    frames = torch.zeros(1, 100, 400, 3, dtype=torch.uint8)
    frames[:, :, 200:] = 255
    clip = squash(frames, STAGE2)
    assert clip.shape == (1, 224, 224, 3)
    assert clip[0, :, :110].max() <= 20
    assert clip[0, :, 114:].min() >= 235


def test_antialias_changes_pixels_and_is_pinned() -> None:
    frames = torch.randint(0, 256, (1, 448, 448, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pinned = squash(frames, STAGE2)
    smooth = squash(frames, Preprocessing(family="x", sampling="middle", policy="squash", antialias=True))
    assert pinned.float().std() > 1.2 * smooth.float().std()


def test_preprocess_chooses_frames_and_resizes() -> None:
    frames = torch.arange(60, dtype=torch.uint8)[:, None, None, None].expand(60, 50, 70, 3)
    clip = preprocess(frames, FINETUNED)
    assert clip.shape == (8, 224, 224, 3)
    assert clip[:, 0, 0, 0].tolist() == uniform_indices(60, 8).tolist()
    assert preprocess(frames, STAGE2)[:, 5, 5, 1].tolist() == middle_indices(60, 4).tolist()
    fragments = Preprocessing(family="x", sampling="uniform", policy="fragments", fragment_grid=4)
    with pytest.raises(PreprocessingError, match="'fragments' is no whole-frame policy"):
        preprocess(frames, fragments)


def test_normalise() -> None:
    clips = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8)
    pixels = normalise(clips, FINETUNED.mean, FINETUNED.std)
    assert pixels.shape == (2, 3, 3, 4, 5)
    assert pixels.is_contiguous()
    value = clips[1, 2, 3, 4, 1].item()
    assert pixels[1, 1, 2, 3, 4].item() == pytest.approx((value / 255 - 0.456) / 0.224, abs=1e-6)
    for wrong in (clips.float(), clips[0], clips.permute(0, 1, 4, 2, 3)):
        with pytest.raises(PixelsError, match=r"expected uint8 \(b, t, h, w, 3\)"):
            normalise(wrong)
