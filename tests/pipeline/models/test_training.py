"""The training loop: schedule, average, best epoch, and going on after a kill to the same bits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from pipeline.models import saved_state
from pipeline.models.saved_state import SavedState, identity
from pipeline.models.training import Training, TrainingError, averaged, best_epoch, cosine_with_warmup
from tests.resuming import copy_of_rooms

ROOM = "pipeline/workers"
CPU = torch.device("cpu")


def linear(step: int) -> float:
    return max(0.0, 1.0 - step / 12)


def course(scratch: Path, stop_after: int | None = None, made_from: dict[str, str] | None = None) -> Training:
    """Six epochs of two steps of a small network with dropout, under two optimisers, frozen below."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.Muon([model[1].weight], lr=0.1),
        torch.optim.AdamW([model[1].bias, *model[2].parameters(), *model[4].parameters()], lr=0.1),
    ]
    training = Training(
        "test",
        model,
        [LambdaLR(optimiser, linear) for optimiser in optimisers],
        average=0.9,
        order=np.random.Generator(np.random.Philox(1)),
        saved=SavedState(scratch, made_from or {"seed": "1"}),
    )
    drawn: list[float] = []

    def epoch() -> dict[str, float]:
        if training.epochs == stop_after:
            raise KeyboardInterrupt
        model.train()
        losses = []
        for _ in range(2):
            inputs = torch.from_numpy(training.order.normal(size=(8, 4)).astype(np.float32))
            losses.append(training.step((model(inputs)[:, 0] - inputs.sum(dim=1)).square().mean()))
        drawn.extend(losses)
        return {"train_loss": sum(losses)}

    def validate(evaluated: nn.Module) -> dict[str, float]:
        loss = float(evaluated.eval()(torch.ones(1, 4)).detach())
        return {"val_loss": loss, "val_srcc": -abs(training.epochs - 3.0)}

    training.run(6, epoch, validate, before=lambda: {"train_loss": 0.0})
    return training


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = course(tmp_path / "whole")
    for epochs in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            course(tmp_path / "killed", stop_after=epochs)
    resumed = course(tmp_path / "killed")
    assert "test: going on after epoch 4 of an interrupted run" in capsys.readouterr().err
    assert whole.history == resumed.history
    assert [row["epoch"] for row in whole.history] == list(range(7))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert (whole.num_steps, whole.best["epoch"]) == (resumed.num_steps, resumed.best["epoch"]) == (12, 4)
    resumed.forget()
    assert not list((tmp_path / "killed").iterdir())


def test_what_is_frozen_is_not_saved(tmp_path: Path) -> None:
    training = course(tmp_path)
    state = SavedState(tmp_path, {"seed": "1"}).load()
    assert state is not None
    assert not [name for name in (*state["model"], *state["best"]) if name.startswith("0.")]
    assert {*state["model"]} == {name for name in training.model.state_dict() if not name.startswith("0.")}


def test_another_training_begins_anew_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    course(tmp_path, made_from={"distill.seed": "1", "the code of a.py": "0"})
    course(tmp_path, made_from={"distill.seed": "2", "the code of a.py": "1"})
    capsys.readouterr()
    course(tmp_path, made_from={"distill.seed": "1", "the code of a.py": "1"})
    shown = capsys.readouterr().err
    assert "test: the training begins anew: the nearest unfinished training, last saved at 20" in shown
    assert shown.splitlines()[0].endswith("differs in distill.seed")


def test_a_damaged_state_is_named_and_the_training_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = course(tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for damaged in (b"", content[:-9], content[:-200] + bytes([content[-200] ^ 1]) + content[-199:]):
        path.write_bytes(damaged)
        capsys.readouterr()
        assert course(tmp_path).history == whole.history
        assert f"{path} is damaged: the training begins anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda root: {"settings": {"seed": 2}}, "adapt.seed"),
        (lambda root: {"data": {"clips": "other"}}, "the data (clips)"),
        (lambda root: (root / ROOM / "tasks.py").write_text("X = 1\n") and {}, f"the code of {ROOM}/tasks.py"),
        (lambda root: (root / ROOM / "new.py").write_text("X = 1\n") and {}, f"the code of {ROOM}/new.py"),
    ],
)
def test_each_part_of_an_identity_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], dict[str, dict[str, str]]], part: str
) -> None:
    root = copy_of_rooms(tmp_path / "code", [ROOM], monkeypatch)
    arguments: dict[str, dict[str, object]] = {"settings": {"seed": 1}, "data": {"clips": "some"}}
    made_from = partial(identity, "adapt", [ROOM], device=CPU)
    SavedState(tmp_path, made_from(**arguments)).save({})
    assert SavedState(tmp_path, made_from(**arguments)).load() == {}
    other = SavedState(tmp_path, made_from(**{**arguments, **change(root)}))
    assert other.load() is None
    assert (other.why_anew() or "").endswith(f"differs in {part}")


def test_another_version_of_a_library_is_another_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SavedState(tmp_path, identity("adapt", [], {}, {}, CPU)).save({})
    installed = saved_state.version
    monkeypatch.setattr(saved_state, "version", lambda name: "0" if name == "torch" else installed(name))
    other = SavedState(tmp_path, identity("adapt", [], {}, {}, CPU))
    assert (other.why_anew() or "").endswith("differs in the version of torch")


def test_a_loss_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    training = course(tmp_path)
    with pytest.raises(TrainingError, match=r"the loss became nan; lower test\.learning_rate"):
        training.step(training.model[4].weight.sum() * float("nan"))


def test_weight_average_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = averaged(model, 0.9)
    model.weight.data.fill_(1.0)
    average.update_parameters(model)
    assert average.module.weight.item() == pytest.approx(0.9)
    average.update_parameters(model)
    assert average.module.weight.item() == pytest.approx(1 - 0.1 * 2 / 11)


def test_an_undefined_correlation_is_never_the_best() -> None:
    nan = float("nan")
    rows = [(nan, 0.3), (0.1, 0.2), (0.2, 0.5), (nan, 0.1)]
    history = [{"val_srcc": found, "val_loss": loss} for found, loss in rows]
    assert best_epoch(history) == 3
    assert best_epoch([history[0], history[3], history[0]]) == 2


def test_of_epochs_that_are_as_good_as_the_best_the_last_is_taken_with_a_tolerance() -> None:
    history = [{"val_srcc": value, "val_loss": 0.0} for value in (0.80, 0.90, 0.85, 0.89, 0.87)]
    assert [best_epoch(history, tolerance) for tolerance in (0.0, 0.0125, 0.04)] == [2, 4, 5]
    assert [best_epoch(history[:seen], 0.0125) for seen in range(1, 6)] == [1, 2, 2, 4, 4]
    nan = float("nan")
    assert best_epoch([{"val_srcc": nan, "val_loss": loss} for loss in (0.3, 0.1, 0.2)], 0.01) == 2


def test_schedule_rises_then_falls_to_zero() -> None:
    factors = [cosine_with_warmup(step, total=100, warmup=10) for step in range(101)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[9] < 1.0
    assert factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
