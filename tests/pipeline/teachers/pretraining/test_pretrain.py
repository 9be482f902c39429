import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import PipelineError
from pipeline.rendering.clips import RenderTask, render_video
from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.sampling import uniform_indices
from pipeline.synthesis.encoding import Recipe, decode, encode
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.sources import render
from pipeline.teachers import internvideo2_tiny
from pipeline.teachers.pretraining import __main__ as pretrain
from pipeline.teachers.pretraining import examples, watched_run
from pipeline.teachers.pretraining.evaluation import Ladders, hand_features, ridge_on_hand_features
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
from pipeline.teachers.pretraining.natural.examples import NaturalVariety
from pipeline.teachers.pretraining.natural.material import Material
from pipeline.teachers.pretraining.objectives import WEIGHTS, Predictions, cells_of, losses, perceived, total
from pipeline.teachers.pretraining.replay import Replay
from pipeline.teachers.pretraining.statistics import clip_statistics, token_statistics
from pipeline.teachers.pretraining.training import ROOMS, Plan, Run, config, optimisers_of, rate_factor
from tests.resuming import change, copy_of_rooms

CLIP = (8, CLIP_PX, CLIP_PX, 3)


def _group(seed):
    rng = np.random.default_rng(seed)
    return Group(
        rng.integers(0, 256, (ENCODES, *CLIP), dtype=np.uint8),
        rng.normal(0, 1, (ENCODES, *CELLS, 4)).astype(np.float16),
        rng.normal(0, 1, (ENCODES, 5)).astype(np.float32),
        rng.integers(0, 4, ENCODES),
    )


def _model(run):
    return [f"model.{name}" for name in run.pretrainer.model.state_dict()]


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

    def noted(video: Video420, recipe: Recipe) -> bytes:
        made.append(recipe)
        return encode(video, recipe)

    monkeypatch.setattr(examples, "encode", noted)
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
    replay.sample(np.random.default_rng(1), 5, counted=False)
    assert replay._counts[1] == 20


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
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    older = {"pretrainer": state.pop("model"), "step": state.pop("num_steps"), "version": 6}
    torch.save(state | older, tmp_path / "older.pt")
    third = Run(plan)
    third.restore(tmp_path / "older.pt")
    assert third.step == 1
    assert second.differences(tmp_path / "checkpoint.pt") == []
    changed = Run(replace(plan, steps=4, learning_rate=1.0)).differences(tmp_path / "checkpoint.pt")
    assert changed == ["pretrain.learning_rate"]
    for name, value in whole.averaged().state_dict().items():
        assert torch.equal(value, second.averaged().state_dict()[name]), name


def test_a_run_under_changed_code_begins_anew_and_says_which(tmp_path, monkeypatch, capsys):
    root = copy_of_rooms(tmp_path / "code", ROOMS, monkeypatch)
    monkeypatch.setattr(watched_run, "start_generators", lambda *_: [])
    monkeypatch.setattr(watched_run, "wait_until_filled", lambda *_: True)
    plan = Plan(steps=0, compiled=False)
    for room in ROOMS:
        pretrain.train(plan, tmp_path, TRAINING, 3, 1, save_every=1e9, watch=0)
        file = change(root, room)
        capsys.readouterr()
        pretrain.train(plan, tmp_path, TRAINING, 3, 1, save_every=1e9, watch=0)
        (shown,) = [line for line in capsys.readouterr().out.splitlines() if "begins anew" in line]
        assert shown.endswith(f".pt: it differs in the code of {file}")
        pretrain.train(plan, tmp_path, TRAINING, 3, 1, save_every=1e9, watch=0)
        assert "nothing is left to do" in capsys.readouterr().out


def test_a_run_that_goes_on_generates_the_contents_after_those_that_were_made(tmp_path, monkeypatch):
    first = []
    monkeypatch.setattr(watched_run, "start_generators", lambda *arguments: first.append(arguments[-1]) or [])
    monkeypatch.setattr(watched_run, "wait_until_filled", lambda *_: True)
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
    plan = Plan(steps=110, warmup=10)
    rates = [rate_factor(step, plan=plan) for step in (0, 9, 10, 60, 109, 110, 111)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.01, 0.0, 0.0])


def test_a_run_begins_with_an_exported_teacher_and_trains_its_new_heads_first(tmp_path):
    teacher = Run(Plan(steps=1, seed=5, compiled=False))
    pretrain.export(teacher, tmp_path / "teacher", 1, [])
    weights = {name: value.float() for name, value in load_file(tmp_path / "teacher" / "model.safetensors").items()}
    run = Run(Plan(steps=9, groups=2, encodes=2, warmup=1, heads_first=2, compiled=False))
    heads = {name: value.clone() for name, value in run.pretrainer.state_dict().items() if name not in _model(run)}
    run.begin_with(tmp_path / "teacher")
    assert all(torch.equal(run.averaged().model.state_dict()[name], value) for name, value in weights.items())
    replay = _replay(tmp_path / "replay")
    for _ in range(2):
        run.update(run.draw(replay))
    state = run.pretrainer.state_dict()
    assert all(torch.equal(state[name], weights[name.removeprefix("model.")]) for name in _model(run))
    assert not any(torch.equal(state[name], value) for name, value in heads.items() if name != "dense_norm.weight")
    run.update(run.draw(replay))
    changed = run.pretrainer.state_dict()["model.blocks.0.attn.qkv.weight"]
    assert not torch.equal(changed, weights["blocks.0.attn.qkv.weight"])


def test_a_run_does_not_begin_with_what_is_no_teacher_of_its_own_architecture(tmp_path):
    run = Run(Plan(steps=1, compiled=False))
    with pytest.raises(PipelineError, match="name the folder of an exported teacher"):
        run.begin_with(tmp_path)
    save_file({"head.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(PipelineError, match="of another architecture"):
        run.begin_with(tmp_path)


def test_only_the_heads_have_a_rate_while_they_train_first():
    plan = Plan(steps=110, warmup=10, heads_first=20)
    rates = [rate_factor(step, plan=plan, of_heads=heads) for step in (0, 19, 20, 29) for heads in (False, True)]
    assert rates == pytest.approx([0, 0.1, 0, 0.91, 0.1, 0.9, 0.81, 0.81])


def test_every_weight_is_trained_by_one_optimiser_and_those_of_the_blocks_by_muon():
    run = Run(Plan(steps=1, compiled=False))
    optimisers = optimisers_of(run.pretrainer, run.plan)
    muon, adamw = ({id(p) for group in o.param_groups for p in group["params"]} for o in optimisers)
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


def test_the_card_of_a_natural_teacher_has_its_command_its_sources_and_what_was_held_back(tmp_path):
    (tmp_path / "photos.csv").write_text("file,source,licence\na.jpg,s,CC0\nb.jpg,t,MIT\n", encoding="utf-8")
    photographs = [tmp_path / "photos" / name for name in ("a.jpg", "b.jpg")]
    photographs[0].parent.mkdir()
    for path in photographs:
        path.touch()
    training, held = (Material(photographs=(path,), sizes=((300, 300),)) for path in photographs)
    variety = NaturalVariety(**{**vars(TRAINING), "name": "natural", "material": training, "natural": 0.7})
    run = Run(Plan(steps=7, heads_first=2, learning_rate=6e-4, compiled=False))
    pretrain.export(run, tmp_path / "out", 12, [], variety, (held, [tmp_path / "photos"]))
    card = (tmp_path / "out" / "README.md").read_text()
    command = "python -m pipeline.teachers.pretraining --steps 7 --seed 1 --learning-rate 0.0006 --warmup 200"
    assert f"`{command} --initial TEACHER --photos PHOTOS`" in card
    assert "70% of the contents are natural: photographs (1 files)" in card
    assert "`evaluation: FILE`, n = 18" in card
    assert "| s | CC0 | 1 | 0 |\n| t | MIT | 0 | 1 |\n" in card
    assert "natural video" not in card


def test_hand_features_are_finite_and_see_blur():
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (1, *CLIP), dtype=np.uint8)
    flat = np.full_like(sharp, 100)
    features = hand_features(np.concatenate([sharp, flat]))
    assert np.isfinite(features).all()
    assert (features[0, :3] > features[1, :3])[:2].all()


def test_ridge_is_fitted_on_groups_alone_or_stacked_and_predicts_the_mean_over_views(tmp_path):
    groups = [_group(seed) for seed in range(4)]
    stacked = Group(*(np.stack([getattr(group, name) for group in groups]) for name in vars(groups[0])))
    clips = np.stack([groups[0].clips, groups[1].clips], axis=1)
    blank = np.zeros(len(clips))
    names = np.array(["a"] * len(clips))
    ladders = Ladders(clips, blank, blank, blank, names, names, blank.astype(np.int64))
    found = ridge_on_hand_features(groups, ladders)
    assert found == pytest.approx(ridge_on_hand_features([stacked], ladders))
    alone = [ridge_on_hand_features(groups, replace(ladders, clips=clips[:, [view]])) for view in (0, 1)]
    assert found == pytest.approx(np.mean(alone, axis=0))


def test_an_exported_teacher_is_measured_in_place_of_the_last_checkpoint(tmp_path):
    pretrain.export(Run(Plan(steps=1, seed=5, compiled=False)), tmp_path / "teacher", 1, [])
    options = pretrain._parser().parse_args(["--folder", str(tmp_path), "--initial", str(tmp_path / "teacher")])
    name, teacher = pretrain._teacher(options)
    weights = load_file(tmp_path / "teacher" / "model.safetensors")
    assert name == str(tmp_path / "teacher")
    assert torch.equal(teacher.model.state_dict()["head.weight"], weights["head.weight"].float())
    with pytest.raises(PipelineError, match="train first"):
        pretrain._teacher(pretrain._parser().parse_args(["--folder", str(tmp_path)]))
