"""Adaptation: the recipe's blocks train and no others, the best epoch is kept, and a run repeats to the bit."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.agreement import srcc
from pipeline.core.manifest import read_labels, write_labels
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config
from pipeline.models.pixels import normalise
from pipeline.teachers.adaptation import adapt as adaptation
from pipeline.teachers.adaptation.adapt import ROOMS, adapt
from pipeline.teachers.adaptation.fine_tuning import FineTuningError
from pipeline.teachers.adaptation.initial import initial_teacher
from pipeline.teachers.adaptation.labelled import AdaptationError, labelled_clips
from pipeline.teachers.adaptation.settings import AdaptSettings
from tests.resuming import change, copy_of_rooms, kill
from tests.stores import names, write_clips, write_tables

CONFIG = InternVideo2Config(
    embed_dim=32,
    depth=3,
    num_heads=2,
    mlp_ratio=2.0,
    patch_size=28,
    tubelet_size=4,
    image_size=112,
    layerscale_init=0.5,
    pool_dim=16,
    pool_num_heads=2,
)
SETTINGS = AdaptSettings(
    teacher="internvideo2_tiny",
    checkpoint=None,
    view_set="main",
    trainable_blocks=1,
    epochs=3,
    learning_rate=0.003,
    layer_decay=0.75,
    weight_decay=0.05,
    warmup_epochs=0.5,
    batch_size=4,
    head_init_scale=0.001,
    seed=1,
    threads=1,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clips of 24 videos whose noise is their quality, and a teacher small enough for a test."""
    monkeypatch.chdir(tmp_path)
    teacher = adaptation.registry.find("teachers", "internvideo2_tiny")
    own = InternVideo2Config.__annotations__
    monkeypatch.setattr(teacher, "ARCHITECTURE", {key: CONFIG.to_dict()[key] for key in own})
    write_tables(tmp_path, names(24))
    write_clips(tmp_path / "clips.zarr", names(24))
    return tmp_path


def settings(**changes: Any) -> AdaptSettings:
    return AdaptSettings(**(SETTINGS.model_dump() | changes))


def run(project: Path, name: str = "teacher", **changes: Any) -> dict[str, Any]:
    return adapt(
        settings(**changes),
        clips=project / "clips.zarr",
        tables=project,
        teacher=project / name,
        curves=project / "curves.csv",
        device="cpu",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def val_srcc(project: Path, views: int | None = None) -> float:
    """What the saved teacher, whole, gives on the first views of the validation split."""
    model = InternVideo2.from_pretrained(project / "teacher").eval()
    store = adaptation.open_store(project / "clips.zarr")
    val = labelled_clips(store, project, "val")
    rows = val.rows[:, :views]
    clips = torch.from_numpy(store.read("main", rows.ravel()))
    with torch.no_grad():
        scores = model(normalise(clips)).logits.reshape(rows.shape).mean(dim=1)
    return srcc(scores.double().numpy(), val.mos.astype(float))


def test_only_the_last_blocks_pooling_norms_and_head_train(project: Path) -> None:
    with adaptation.reproducible(seed=1, threads=1):
        before = initial_teacher(SETTINGS).state_dict()
    run(project)
    after = weights(project / "teacher")
    changed = {
        name.split(".")[0] + ("." + name.split(".")[1] if name.startswith("blocks") else "")
        for name in after
        if not torch.equal(after[name], before[name])
    }
    assert changed == {"blocks.2", "clip_projector", "fc_norm", "head"}


def test_all_trains_everything(project: Path) -> None:
    with adaptation.reproducible(seed=1, threads=1):
        before = initial_teacher(SETTINGS).state_dict()
    run(project, trainable_blocks="all", epochs=1)
    after = weights(project / "teacher")
    assert not [name for name in after if torch.equal(after[name], before[name])]


def test_the_split_trunk_gives_what_the_whole_model_gives(project: Path) -> None:
    metrics = run(project)
    assert val_srcc(project) == pytest.approx(metrics["val_srcc"])


def test_the_best_epoch_is_kept_and_every_epoch_recorded(project: Path) -> None:
    metrics = run(project)
    with (project / "curves.csv").open(encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    assert [row["epoch"] for row in curves] == ["1", "2", "3"]
    assert metrics["val_srcc"] == max(float(row["val_srcc"]) for row in curves)
    assert float(curves[metrics["best_epoch"] - 1]["val_srcc"]) == metrics["val_srcc"]


def test_a_later_epoch_within_the_tolerance_is_kept_instead_of_the_best(project: Path) -> None:
    best = run(project, epochs=4)
    last = run(project, epochs=4, val_tolerance=2.0)
    assert best["best_epoch"] < last["best_epoch"] == 4
    assert best["val_srcc"] > last["val_srcc"] == pytest.approx(val_srcc(project))


def test_the_first_views_of_the_validation_videos_choose_where_that_is_asked(project: Path) -> None:
    losses = {}
    for views in (1, None):
        metrics = run(project, validation_views=views)
        assert val_srcc(project, views) == pytest.approx(metrics["val_srcc"])
        with (project / "curves.csv").open(encoding="utf-8") as file:
            losses[views] = [row["val_loss"] for row in csv.DictReader(file)]
    assert losses[1] != losses[None]


@pytest.mark.parametrize("blocks", [1, "all"])
def test_a_training_step_sees_its_share_of_the_tokens_and_validation_all(
    project: Path, monkeypatch: pytest.MonkeyPatch, blocks: int | str
) -> None:
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    last = InternVideo2._finish

    def watched(self: InternVideo2, *arguments: Any) -> Any:
        output = last(self, *arguments)
        seen[self.training].add(output.tokens.shape[1])
        return output

    monkeypatch.setattr(InternVideo2, "_finish", watched)
    run(project, trainable_blocks=blocks, epochs=1, token_share=0.25)
    assert CONFIG.num_patches == 32
    assert seen == {True: {1 + 8}, False: {1 + 32}}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(project: Path) -> None:
    run(project, "one")
    run(project, "two")
    run(project, "three", seed=2)
    one, two, three = ((project / name / "model.safetensors").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_killed_and_resumed_equals_uninterrupted(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run(project, "whole", token_share=0.5)
    kill(monkeypatch, 2, lambda: run(project, "resumed", token_share=0.5))
    assert not (project / "resumed").exists()
    capsys.readouterr()
    assert run(project, "resumed", token_share=0.5) == whole
    assert "adapt: going on after epoch 2 of an interrupted run" in capsys.readouterr().err
    one, two = ((project / name / "model.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert one == two
    assert not list((project / ".teachonce/adapt").iterdir())


@pytest.mark.parametrize("room", [*ROOMS, "pipeline/teachers/internvideo2_tiny.py"])
def test_a_run_under_changed_code_begins_anew_and_says_which(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: str
) -> None:
    root = copy_of_rooms(project / "code", [*ROOMS, "pipeline/teachers/internvideo2_tiny.py"], monkeypatch)
    kill(monkeypatch, 1, lambda: run(project))
    file = change(root, room)
    capsys.readouterr()
    kill(monkeypatch, 1, lambda: run(project))
    assert f"differs in the code of {file}\n" in capsys.readouterr().err


def test_the_test_split_changes_nothing(project: Path) -> None:
    run(project, "one")
    labels = read_labels(project / "labels.csv")
    turned = [replace(row, mos=100.0 - (row.mos or 0)) if row.split == "test" else row for row in labels]
    assert turned != labels
    write_labels(project / "labels.csv", turned)
    run(project, "two")
    one, two = ((project / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_no_epochs_pass_a_checkpoint_and_its_head_through(project: Path) -> None:
    source = InternVideo2(InternVideo2Config(**{**CONFIG.to_dict(), "num_classes": 5})).eval()
    source.save_pretrained(project / "checkpoint")
    run(project, epochs=0, checkpoint=str(project / "checkpoint"))
    after = weights(project / "teacher")
    assert after["head.weight"].shape == (5, 16)
    assert all(torch.equal(after[name], value) for name, value in source.state_dict().items())


def test_no_epochs_and_a_file_without_a_head_leave_no_head(project: Path) -> None:
    InternVideo2(CONFIG).eval().save_pretrained(project / "checkpoint")
    run(project, epochs=0, checkpoint=str(project / "checkpoint"))
    assert not [name for name in weights(project / "teacher") if name.startswith("head")]


def test_a_checkpoint_with_another_head_is_fine_tuned(project: Path) -> None:
    InternVideo2(InternVideo2Config(**{**CONFIG.to_dict(), "num_classes": 400})).eval().save_pretrained(
        project / "k400"
    )
    run(project, checkpoint=str(project / "k400"), epochs=1)
    assert weights(project / "teacher")["head.weight"].shape == (1, 16)


def test_a_head_of_one_output_is_kept_and_brought_to_the_scale_of_the_scores(project: Path) -> None:
    before = run(project)
    model = InternVideo2.from_pretrained(project / "teacher")
    with torch.no_grad():
        model.head.weight.mul_(40.0)
        model.head.bias.mul_(40.0).add_(7.0)
    model.save_pretrained(project / "own-head")
    after = run(project, "again", checkpoint=str(project / "own-head"), epochs=1, learning_rate=1e-9)
    with (project / "curves.csv").open(encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    assert [row["epoch"] for row in curves] == ["0", "1"]
    assert float(curves[0]["val_srcc"]) == pytest.approx(before["val_srcc"], abs=0.05)
    assert float(curves[0]["train_loss"]) < 0.1
    assert after["best_epoch"] == 0

    with torch.no_grad():
        model.head.weight.mul_(-1.0)
    model.save_pretrained(project / "upside-down")
    with pytest.raises(FineTuningError, match="a slope of -"):
        run(project, checkpoint=str(project / "upside-down"), epochs=1)


def test_nothing_to_pass_through_is_explained(project: Path) -> None:
    with pytest.raises(AdaptationError, match=r"adapt\.checkpoint is null"):
        run(project, epochs=0)


def test_too_few_labels_are_explained(project: Path) -> None:
    write_tables(project, names(2))
    write_clips(project / "clips.zarr", names(2))
    with pytest.raises(AdaptationError, match="0 labelled videos in the val split"):
        run(project)
