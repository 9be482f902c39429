import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import pretrain
from pipeline.clips import RenderTask, render_video
from pipeline.errors import PipelineError
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config
from pipeline.models.sampling import uniform_indices
from pipeline.pretraining import examples
from pipeline.pretraining.evaluation import hand_features
from pipeline.pretraining.examples import (
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
from pipeline.pretraining.objectives import WEIGHTS, Predictions, cells_of, losses, perceived, total
from pipeline.pretraining.refit import refit, refit_filters
from pipeline.pretraining.replay import Replay
from pipeline.pretraining.statistics import clip_statistics, token_statistics
from pipeline.pretraining.training import Plan, Run, config
from pipeline.synthesis.encoding import Recipe, decode, encode
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.sources import render
from pipeline.teachers import internvideo2_tiny
from pipeline.views import ViewPolicy

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


def test_a_later_run_generates_other_contents_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    first = []
    monkeypatch.setattr(pretrain, "start_generators", lambda *arguments: first.append(arguments[-1]) or [])
    monkeypatch.setattr(pretrain, "wait_until_filled", lambda *_: True)
    plan = Plan(steps=0, compiled=False)
    for made in (None, 6007):
        if made:
            (tmp_path / "replay" / "next-0").write_text(str(made), encoding="utf-8")
        pretrain.train(plan, tmp_path, TRAINING, 3, 1, save_every=1e9, watch=0, first_content=6000)
    assert first == [6000, 6007]


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


def _former(folder, **changed):
    model = InternVideo2(InternVideo2Config(**(config().to_diff_dict() | changed)))
    model.save_pretrained(folder)
    return model.state_dict()


def test_weights_of_other_fragments_are_fitted_to_these(tmp_path):
    # Two by two fragments of 8 px patches in place of four by four of 7 px: as many tokens in each.
    former = _former(tmp_path, image_size=2 * 4 * 8, patch_size=8)
    fitted = refit(tmp_path, config()).state_dict()
    changed = {name for name in former if former[name].shape != fitted[name].shape}
    assert changed == {"pos_embed", "patch_embed.proj.weight"}
    assert all(torch.equal(former[name], fitted[name]) for name in set(former) - changed)
    # Token (t, 1, 2) of every fragment: the mean over the four former fragments.
    before, after = former["pos_embed"][0, 1:].reshape(2, 8, 8, -1), fitted["pos_embed"][0, 1:].reshape(2, 16, 16, -1)
    assert torch.allclose(after[:, 9, 14], before[:, 1::4, 2::4].mean((1, 2)), atol=1e-6)
    assert torch.equal(former["pos_embed"][:, 0], fitted["pos_embed"][:, 0])


def test_weights_are_mixed_with_those_that_a_run_began_with(tmp_path, capsys):
    first = _former(tmp_path / "first")
    run = Run(Plan(steps=1, compiled=False))
    own = {name: value.clone() for name, value in run.averaged().state_dict().items()}
    run.save(tmp_path / "checkpoint.pt")
    told = ["--folder", str(tmp_path), "--export", str(tmp_path / "out"), "--initial-share", "0.25"]
    assert pretrain.main(told) == 1
    assert "say with --initial" in capsys.readouterr().err
    assert pretrain.main([*told, "--initial", str(tmp_path / "first")]) == 0
    for name, value in load_file(tmp_path / "out/model.safetensors").items():
        wanted = 0.75 * own[f"model.{name}"] + 0.25 * first[name]
        assert torch.allclose(value.float(), wanted, atol=1e-3, rtol=1e-3), name


def test_a_refitted_filter_answers_smooth_patches_as_before():
    def bump(side):
        place = (torch.arange(side) + 0.5) / side
        return torch.outer(torch.sin(torch.pi * place), 1 + place)

    before, after = (refit_filters(bump(8)[None, None, None], side) for side in (8, 7))
    assert torch.equal(before, bump(8)[None, None, None])
    assert float((after * bump(7)).sum()) == pytest.approx(float((before * bump(8)).sum()), rel=0.03)


def test_weights_of_another_architecture_cannot_begin(tmp_path):
    _former(tmp_path, depth=2)
    with pytest.raises(PipelineError, match=r"got depth 2, expected depth 4; give a folder"):
        refit(tmp_path, config())


def test_hand_features_are_finite_and_see_blur():
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (1, *CLIP), dtype=np.uint8)
    flat = np.full_like(sharp, 100)
    features = hand_features(np.concatenate([sharp, flat]))
    assert np.isfinite(features).all()
    assert (features[0, :3] > features[1, :3])[:2].all()
