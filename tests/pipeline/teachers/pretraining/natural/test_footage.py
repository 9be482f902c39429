import numpy as np
import pytest

from pipeline.synthesis.encoding import Recipe, encode
from pipeline.synthesis.planes import Planes, Video420, quantise
from pipeline.teachers.pretraining.natural.footage import FootageError, clips_of, floats, prepare, take


def _clip(path, *, width, height, crf, num_frames=12):
    rng = np.random.default_rng(3)
    noise = rng.integers(30, 220, (num_frames, height, width), dtype=np.uint8)
    y = noise if crf < 10 else np.repeat(noise[:1] // 16 * 16, num_frames, axis=0)
    chroma = np.full((num_frames, height // 2, width // 2), 128, np.uint8)
    path.write_bytes(encode(Video420(y, chroma, chroma), Recipe(codec="h264", crf=crf, preset="ultrafast", gop=99)))
    return path


def test_a_clip_is_stored_at_half_its_size_and_found_again(tmp_path):
    clip = _clip(tmp_path / "a.mp4", width=320, height=256, crf=50)
    first = prepare(clip, tmp_path / "store")
    assert (first.open().shape.width, first.open().shape.height, first.fps) == (160, 128, 30)
    clip.unlink()
    assert prepare(clip, tmp_path / "store") == first


def test_a_small_clip_of_many_bits_keeps_its_size(tmp_path):
    clip = _clip(tmp_path / "a.mp4", width=160, height=128, crf=1)
    assert prepare(clip, tmp_path / "store").open().shape.width == 160


def test_a_small_clip_of_few_bits_is_refused_with_what_to_do(tmp_path):
    clip = _clip(tmp_path / "a.mp4", width=160, height=128, crf=50)
    with pytest.raises(FootageError, match=r"got 160 x 128 px .* take a larger copy"):
        prepare(clip, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_part_is_a_function_of_its_seed_and_no_longer_than_asked(tmp_path):
    footage = prepare(_clip(tmp_path / "a.mp4", width=320, height=256, crf=50), tmp_path / "store")
    first, again = (take(np.random.default_rng(2), footage, 8) for _ in range(2))
    assert np.array_equal(first.y, again.y)
    assert len(first.y) == 8
    assert len(take(np.random.default_rng(2), footage, 99).y) == 12
    for seed in range(10):
        part = take(np.random.default_rng(seed), footage, 4, most_lines=120)
        assert min(part.y.shape[1:]) >= 112
        assert part.u.shape[1:] == (part.y.shape[1] // 2, part.y.shape[2] // 2)


def test_floats_invert_rounding():
    rng = np.random.default_rng(1)
    y, u, v = (rng.integers(20, 230, shape, dtype=np.uint8) for shape in ((2, 8, 8), (2, 4, 4), (2, 4, 4)))
    back = quantise(floats(Video420(y, u, v)))
    assert isinstance(floats(back), Planes)
    assert all(np.array_equal(a, b) for a, b in zip((back.y, back.u, back.v), (y, u, v), strict=True))


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(FootageError, match="has no clip"):
        clips_of(tmp_path)
