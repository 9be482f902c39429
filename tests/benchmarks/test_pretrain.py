import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import pretrain
from pipeline.clips import RenderTask, render_video
from pipeline.models.sampling import uniform_indices
from pipeline.pretraining.evaluation import hand_features
from pipeline.pretraining.examples import ENCODES, EVALUATION, TRAINING, Group, fragment_places, fragments, make_groups
from pipeline.pretraining.objectives import WEIGHTS, Predictions, losses, perceived, total
from pipeline.pretraining.replay import Replay
from pipeline.pretraining.statistics import clip_statistics, token_statistics
from pipeline.pretraining.training import Plan, Run
from pipeline.synthesis.encoding import Recipe, decode, encode
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.sources import render
from pipeline.teachers import internvideo2_tiny
from pipeline.views import ViewPolicy


def _group(seed):
    rng = np.random.default_rng(seed)
    return Group(
        rng.integers(0, 256, (ENCODES, 8, 112, 112, 3), dtype=np.uint8),
        rng.normal(0, 1, (ENCODES, 4, 8, 8, 4)).astype(np.float16),
        rng.normal(0, 1, (ENCODES, 5)).astype(np.float32),
        rng.integers(0, 4, ENCODES),
    )


def _replay(folder):
    replay = Replay(folder, 3)
    for slot in range(3):
        replay.write(slot, _group(slot))
    return replay


def test_the_whole_program_in_miniature(capsys):
    assert pretrain.main(["--miniature"]) == 0
    printed = capsys.readouterr().out
    assert "miniature: 6 steps; srcc" in printed
    assert "README.md, config.json, model.safetensors" in printed


def test_evaluation_shares_no_family_preset_or_key_frame_distance_with_training():
    assert not set(TRAINING.families) & set(EVALUATION.families)
    assert not set(TRAINING.gops) & set(EVALUATION.gops)
    for codec, presets in TRAINING.presets.items():
        assert not set(presets) & set(EVALUATION.presets[codec])


def test_examples_are_a_function_of_their_index():
    first, again = (make_groups(TRAINING, 5) for _ in range(2))
    assert len(first) == TRAINING.views
    for group, same in zip(first, again, strict=True):
        assert all(np.array_equal(getattr(group, name), getattr(same, name)) for name in vars(group))
    assert first[0].clips.shape == (ENCODES, 8, 112, 112, 3)
    assert first[0].dense.shape == (ENCODES, 4, 8, 8, 4)
    assert np.isfinite(first[0].dense.astype(np.float32)).all()
    quality, error = first[0].targets[:, 0], first[0].dense[..., 0].astype(np.float32).mean(axis=(1, 2, 3))
    assert np.corrcoef(quality, error)[0, 1] < -0.3


def test_clips_are_those_that_the_pipeline_renders(tmp_path):
    shape = Shape(320, 180, 16)
    file = encode(render("leaves", ("clips", 1), shape), Recipe(codec="h264", crf=20, preset="ultrafast"))
    path = tmp_path / "video.mp4"
    path.write_bytes(file)
    preprocessing = internvideo2_tiny.PREPROCESSING
    policy = ViewPolicy(policy="fragments", sampling="uniform", num_frames=8, size=112, grid=4)
    assert (preprocessing.policy, preprocessing.sampling, preprocessing.num_frames) == ("fragments", "uniform", 8)
    assert (preprocessing.size, preprocessing.fragment_grid) == (112, 4)
    digest = hashlib.sha256(file).hexdigest()
    task = RenderTask(
        path=path, digest=digest, num_frames=16, policies={"main": policy}, num_views=3, decoder="pyav", repeat=False
    )
    clips = render_video(task).arrays["main"]
    video, frames = decode(file), uniform_indices(16, 8)
    chosen = Video420(video.y[frames], video.u[frames], video.v[frames])
    for view in (1, 2):
        assert np.array_equal(fragments(chosen, fragment_places(shape, digest, view)), clips[view])


def test_replay_gives_back_what_was_written_and_skips_what_is_being_written(tmp_path):
    replay = _replay(tmp_path)
    replay._versions[1] = 3
    drawn = Replay(tmp_path, 3).sample(np.random.default_rng(1), 20)
    wanted = [_group(slot).targets for slot in (0, 2)]
    assert drawn.clips.shape == (20, ENCODES, 8, 112, 112, 3)
    assert all(any(np.array_equal(targets, want) for want in wanted) for targets in drawn.targets)
    assert replay.filled() == 2


def test_continued_run_equals_uninterrupted_run(tmp_path):
    plan = Plan(steps=3, groups=2, encodes=2, warmup=1, compiled=False)
    replay = _replay(tmp_path / "replay")
    whole = Run(plan)
    for _ in range(3):
        whole.update(whole.draw(replay))
    first = Run(plan)
    first.update(first.draw(replay))
    first.save(tmp_path / "checkpoint.pt")
    torch.manual_seed(99)
    second = Run(plan)
    second.restore(tmp_path / "checkpoint.pt")
    while second.step < 3:
        second.update(second.draw(replay))
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name


def test_losses_vanish_for_perfect_predictions_and_every_term_is_weighted():
    dense, targets = torch.zeros(4, 256, 4), torch.tensor([[1.0, 0, 0, 0, 0]] * 2 + [[-1.0, 0, 0, 0, 0]] * 2)
    codecs = torch.tensor([0, 1, 2, 3])
    clips = torch.randint(0, 256, (4, 8, 112, 112, 3), dtype=torch.uint8)
    pixels = perceived(clips, torch.arange(256))
    perfect = Predictions(
        dense, targets[:, 0], targets[:, 0], targets, 50.0 * torch.nn.functional.one_hot(codecs, 4), *pixels
    )
    terms = losses(perfect, dense, targets, codecs, pixels, 2)
    assert set(terms) == set(WEIGHTS)
    assert float(total(terms)) < 1e-6
    shifted = losses(perfect._replace(score=targets[:, 0] + 1), dense, targets, codecs, pixels, 2)
    assert float(shifted["pairs"]) < 1e-6 < float(shifted["score"])


def test_statistics_by_hand():
    # One patch of 14 px whose rows alternate by a wave of the DCT's own frequency 7: all power is in that coefficient.
    place = torch.arange(14)
    wave = 40.0 * torch.cos(torch.pi * (2 * place + 1) * 7 / 28)
    frame = (128.0 + wave[:, None].expand(14, 14)).round().to(torch.uint8)
    clips = frame[None, None, :, :, None].expand(1, 2, 14, 14, 3)
    tokens = token_statistics(clips, 14, 2)
    assert tokens.shape == (1, 1, 8)
    radius = torch.hypot(place[:, None].float(), place[None].float()).flatten()[1:]
    band = ((radius - 0.5) / (13 / 7)).floor().clamp(max=6)
    ring = int(((torch.tensor(7.0) - 0.5) / (13 / 7)).floor())
    energy = 40.0 * (14 / 2) ** 0.5 * 14**0.5 / float((band == ring).sum())
    assert tokens[0, 0, ring].item() == pytest.approx(np.log(energy + 0.1), abs=0.05)
    assert tokens[0, 0, :7].argmax() == ring
    assert tokens[0, 0, 7].item() == pytest.approx(np.log(0.1), abs=1e-4)
    assert clip_statistics(clips, 14).shape == (1, 24)


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    run = Run(Plan(steps=100, warmup=10, cooldown=0.5, learning_rate=1.0, compiled=False))
    rates = []
    for run.step in (0, 9, 49, 75, 100):
        rates.append(run.rate())
    assert rates[0] == 0.1
    assert rates[1] == rates[2] == 1.0
    assert 0 < rates[3] < 0.5
    assert rates[4] == 0.0


def test_export_is_half_precision_and_small(tmp_path):
    run = Run(Plan(steps=1, compiled=False))
    pretrain.export(run, tmp_path, ["SRCC 0.5\n"])
    assert (tmp_path / "README.md").read_text().endswith("```\nSRCC 0.5\n```\n")
    weights = load_file(tmp_path / "model.safetensors")
    assert all(value.dtype == torch.float16 for value in weights.values())
    assert (tmp_path / "model.safetensors").stat().st_size < 6_000_000
    assert set(weights) == set(run.pretrainer.model.state_dict())


def test_hand_features_are_finite_and_see_blur():
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (1, 8, 112, 112, 3), dtype=np.uint8)
    flat = np.full_like(sharp, 100)
    features = hand_features(np.concatenate([sharp, flat]))
    assert np.isfinite(features).all()
    assert (features[0, :3] > features[1, :3])[:2].all()
