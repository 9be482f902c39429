import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.rendering.clips import RenderTask, render_video
from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.sampling import uniform_indices
from pipeline.synthesis.encoding import Recipe, decode, encode
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.sources import render
from pipeline.teachers import internvideo2_tiny
from pipeline.teachers.pretraining import __main__ as pretrain
from pipeline.teachers.pretraining import examples
from pipeline.teachers.pretraining.evaluation import hand_features
from pipeline.teachers.pretraining.examples import (
    CELLS,
    CLIP_PX,
    ENCODES,
    EVALUATION,
    GRID,
    TOKENS,
    TRAINING,
    Group,
    draw_frame_rate,
    fragment_places,
    fragments,
    make_groups,
)
from pipeline.teachers.pretraining.objectives import WEIGHTS, Predictions, cells_of, losses, perceived, total
from pipeline.teachers.pretraining.replay import Replay
from pipeline.teachers.pretraining.statistics import clip_statistics, token_statistics
from pipeline.teachers.pretraining.training import Plan, Run, config

CLIP = (8, CLIP_PX, CLIP_PX, 3)


def _group(seed):
    rng = np.random.default_rng(seed)
    return Group(
        rng.integers(0, 256, (ENCODES, *CLIP), dtype=np.uint8),
        rng.normal(0, 1, (ENCODES, *CELLS, 4)).astype(np.float16),
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
    assert "has a run at step 4 of 6: it goes on" in printed
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
    assert first[0].clips.shape == (ENCODES, *CLIP)
    assert first[0].dense.shape == (ENCODES, *CELLS, 4)
    assert np.isfinite(first[0].dense.astype(np.float32)).all()
    quality, error = first[0].targets[:, 0], first[0].dense[..., 0].astype(np.float32).mean(axis=(1, 2, 3))
    assert np.corrcoef(quality, error)[0, 1] < -0.3


def test_encodes_of_a_content_share_a_frame_rate_and_contents_have_every_one(monkeypatch):
    made: list[Recipe] = []

    def kept(video: Video420, recipe: Recipe) -> bytes:
        made.append(recipe)
        return encode(video, recipe)

    monkeypatch.setattr(examples, "encode", kept)
    make_groups(replace(TRAINING, double=1.0, views=1), 5)
    assert len(made) == 2 * ENCODES
    assert {recipe.fps for recipe in made} == {draw_frame_rate(TRAINING, 5)}
    assert {draw_frame_rate(TRAINING, index) for index in range(60)} == set(TRAINING.frame_rates)
    assert {draw_frame_rate(EVALUATION, index) for index in range(60)} == {30}


def test_clips_are_those_that_the_pipeline_renders(tmp_path):
    shape = Shape(320, 180, 16)
    file = encode(render("leaves", ("clips", 1), shape), Recipe(codec="h264", crf=20, preset="ultrafast"))
    path = tmp_path / "video.mp4"
    path.write_bytes(file)
    preprocessing = internvideo2_tiny.PREPROCESSING
    policy = ViewPolicy(policy="fragments", sampling="uniform", num_frames=8, size=CLIP_PX, grid=GRID)
    assert (preprocessing.policy, preprocessing.sampling, preprocessing.num_frames) == ("fragments", "uniform", 8)
    assert (preprocessing.size, preprocessing.fragment_grid) == (CLIP_PX, GRID)
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
    assert drawn.clips.shape == (20, ENCODES, *CLIP)
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


def test_a_run_that_goes_on_generates_the_contents_after_those_that_were_made(tmp_path, monkeypatch):
    first = []
    monkeypatch.setattr(pretrain, "start_generators", lambda *arguments: first.append(arguments[-1]) or [])
    monkeypatch.setattr(pretrain, "wait_until_filled", lambda *_: True)
    plan = Plan(steps=0, compiled=False)
    for made in (None, 6007):
        if made:
            (tmp_path / "replay" / "next-0").write_text(str(made), encoding="utf-8")
        pretrain.train(plan, tmp_path, TRAINING, 3, 1, save_every=1e9, watch=0)
    assert first == [0, 6007]


def test_losses_vanish_for_perfect_predictions_and_every_term_is_weighted():
    dense, targets = (
        torch.zeros(4, math.prod(TOKENS), 4),
        torch.tensor([[1.0, 0, 0, 0, 0]] * 2 + [[-1.0, 0, 0, 0, 0]] * 2),
    )
    codecs = torch.tensor([0, 1, 2, 3])
    clips = torch.randint(0, 256, (4, *CLIP), dtype=torch.uint8)
    pixels = perceived(clips, torch.arange(math.prod(TOKENS)))
    perfect = Predictions(
        dense, targets[:, 0], targets[:, 0], targets, 50.0 * torch.nn.functional.one_hot(codecs, 4), *pixels
    )
    terms = losses(perfect, dense, targets, codecs, pixels, 2)
    assert set(terms) == set(WEIGHTS)
    assert float(total(terms)) < 1e-6
    shifted = losses(perfect._replace(score=targets[:, 0] + 1), dense, targets, codecs, pixels, 2)
    assert float(shifted["pairs"]) < 1e-6 < float(shifted["score"])


def test_a_cell_is_two_by_two_tokens():
    assert (TOKENS, CELLS) == ((2, 16, 16), (2, 8, 8))
    places = torch.arange(math.prod(TOKENS)).reshape(TOKENS)
    found = cells_of(places.flatten()).reshape(TOKENS)
    wanted = torch.arange(math.prod(CELLS)).reshape(CELLS)
    assert torch.equal(found, wanted.repeat_interleave(2, 1).repeat_interleave(2, 2))


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


def test_learning_rate_warms_up_and_falls_to_zero_in_a_straight_line():
    run = Run(Plan(steps=110, warmup=10, learning_rate=1.0, compiled=False))
    rates = []
    for run.step in (0, 9, 10, 60, 109, 110, 111):
        rates.append(run.rate())
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.01, 0.0, 0.0])


def test_every_weight_is_trained_by_one_optimiser_and_those_of_the_blocks_by_muon():
    run = Run(Plan(steps=1, compiled=False))
    muon, adamw = ({id(p) for group in o.param_groups for p in group["params"]} for o in run.optimisers)
    everything = {id(p): name for name, p in run.pretrainer.named_parameters()}
    assert (muon | adamw, muon & adamw) == (set(everything), set())
    kinds = {everything[p].split(".", 3)[3] for p in muon}
    assert kinds == {"attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight"}
    assert len(muon) == 4 * config().depth


def test_export_is_half_precision_and_small(tmp_path):
    run = Run(Plan(steps=1, compiled=False))
    pretrain.export(run, tmp_path, 12345, ["SRCC 0.5\n"])
    card = (tmp_path / "README.md").read_text()
    assert "12,345 contents" in card
    assert "frame rate (24 to 60 a second)" in card
    assert card.endswith("```\nSRCC 0.5\n```\n")
    weights = load_file(tmp_path / "model.safetensors")
    assert all(value.dtype == torch.float16 for value in weights.values())
    assert (tmp_path / "model.safetensors").stat().st_size < 6_000_000
    assert set(weights) == set(run.pretrainer.model.state_dict())


def test_hand_features_are_finite_and_see_blur():
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (1, *CLIP), dtype=np.uint8)
    flat = np.full_like(sharp, 100)
    features = hand_features(np.concatenate([sharp, flat]))
    assert np.isfinite(features).all()
    assert (features[0, :3] > features[1, :3])[:2].all()
