import numpy as np
import pytest
from PIL import Image

from pipeline.synthesis.planes import Shape
from pipeline.teachers.pretraining.natural.camerawork import Canvas, Move, draw_move, shoot_plane
from pipeline.teachers.pretraining.natural.photographs import PhotographError, animate, cored, large_enough, load

SHAPE = Shape(128, 112, 6)


def _photograph(path, seed, size=(320, 260)):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (13, 16, 3), dtype=np.uint8))
    small.resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def _move(num_frames, **changed):
    still = dict.fromkeys(("x", "y", "angle"), np.zeros(num_frames)) | {"zoom": np.ones(num_frames)}
    return Move(**{**still, **changed})


def test_a_video_of_photographs_follows_from_its_seed_and_fills_the_frame(tmp_path):
    photographs = [_photograph(tmp_path / f"{seed}.jpg", seed) for seed in range(3)]
    first, again, other = (animate(np.random.default_rng(seed), photographs, SHAPE) for seed in (4, 4, 5))
    assert first.y.shape == (6, 112, 128)
    assert first.u.shape == first.v.shape == (6, 56, 64)
    assert np.array_equal(first.y, again.y)
    assert not np.array_equal(first.y, other.y)
    assert 0 <= first.y.min() <= first.y.max() <= 1


def test_cameras_move_and_never_leave_their_canvas():
    canvas = Canvas(
        np.full((160, 200), 200, np.uint8), np.full((80, 100), 128, np.uint8), np.zeros((80, 100), np.uint8)
    )
    moved = 0
    for seed in range(40):
        move = draw_move(np.random.default_rng(seed), canvas, Shape(128, 112, 20))
        video = shoot_plane(canvas.y, move, Shape(128, 112, 20))
        assert video.min() == 200, seed
        moved += np.ptp(move.x) > 1
    assert moved > 20


def test_a_camera_that_turns_or_pans_shows_what_is_there():
    plane = np.arange(64 * 96, dtype=np.int64).reshape(64, 96) % 251
    picture = plane.astype(np.uint8)
    middle = _move(2, x=np.array([48.0, 50.0]), y=np.array([32.0, 32.0]))
    filmed = shoot_plane(picture, middle, Shape(16, 16, 2))
    assert np.array_equal(filmed[0], picture[24:40, 40:56])
    assert np.array_equal(filmed[1], picture[24:40, 42:58])
    quarter = _move(1, x=np.array([48.0]), y=np.array([32.0]), angle=np.array([np.pi / 2]))
    turned = shoot_plane(picture, quarter, Shape(16, 16, 1))[0]
    assert np.array_equal(turned, np.rot90(picture[24:40, 40:56]))


def test_a_layer_passes_faster_and_drifts():
    move = _move(3, x=np.array([10.0, 12.0, 14.0]))
    passing = move.followed(2.0, (5.0, 0.0), (0.0, 1.0))
    assert passing.x == pytest.approx([15, 19, 23])
    assert passing.y == pytest.approx([0, 1, 2])


def test_coring_flattens_noise_and_keeps_edges():
    rng = np.random.default_rng(1)
    picture = np.full((64, 64), 60.0)
    picture[:, 32:] = 180
    noisy = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    grey = np.full((32, 32), 128, np.uint8)
    clean = cored(Canvas(noisy, grey, grey), 4.0).y.astype(float)
    assert clean[8:56, 4:24].std() < 0.4 * noisy[8:56, 4:24].std()
    assert clean[:, 36].mean() - clean[:, 27].mean() > 110


def test_a_part_of_a_photograph_has_the_size_asked_for_even_when_it_must_be_enlarged(tmp_path):
    path = _photograph(tmp_path / "a.jpg", 1, (120, 100))
    canvas = load(path, (180, 150), np.random.default_rng(0))
    assert canvas.y.shape == (150, 180)
    assert canvas.u.shape == (75, 90)
    assert not large_enough((120, 100), Shape(320, 180, 1))
    assert large_enough((512, 512), Shape(480, 270, 1))


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(PhotographError, match=r"a\.jpg: not a picture"):
        load(tmp_path / "a.jpg", (64, 64), np.random.default_rng(0))
