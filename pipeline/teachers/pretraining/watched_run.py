"""The training program around a run: generators beside it, checkpoints, a clean stop, a log with a watched curve."""

import signal
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from pipeline.models.saved_state import listed
from pipeline.teachers.pretraining.evaluation import Ladders, across, held_out, predict, within
from pipeline.teachers.pretraining.examples import EVALUATION, Variety
from pipeline.teachers.pretraining.replay import START, Replay, next_content, start_generators, wait_until_filled
from pipeline.teachers.pretraining.training import Plan, Run

NATURAL = "natural-held-back.npz"
"""Ladders of held-back natural material, in a run's folder."""


def train(
    plan: Plan,
    folder: Path,
    variety: Variety,
    capacity: int,
    workers: int,
    save_every: float,
    watch: int,
    initial: Path | None = None,
) -> Run:
    """Trains to the end of the plan, from the last checkpoint in ``folder`` if there is one.

    Args:
        plan: the course of the run.
        folder: checkpoint, replay pool and log.
        variety: what the generators draw from.
        capacity: groups in the replay pool.
        workers: generator processes.
        save_every: seconds between checkpoints.
        watch: contents of the held-out set on which progress is watched; 0 for none.
        initial: folder of an exported teacher whose weights a new run begins with; None begins from nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(plan)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists() and (parts := run.differences(checkpoint)):
        aside = checkpoint.with_name(f"checkpoint-{time.strftime('%Y%m%d-%H%M%S')}.pt")
        checkpoint.rename(aside)
        print(f"the run begins anew, and the old one's state is {aside}: it differs in {listed(parts)}")
    if checkpoint.exists():
        run.restore(checkpoint)
        does = "it goes on" if run.step < plan.steps else "nothing is left to do"
        print(f"{folder} has a run at step {run.step} of {plan.steps}: {does}; another run takes another --folder")
    elif initial is not None:
        run.begin_with(initial)
    replay = Replay(folder / "replay", capacity)
    generators = start_generators(folder / "replay", capacity, variety, workers, next_content(folder / "replay"))
    stop = _Stop()
    watched = _watched(folder, watch, workers)
    log = folder / "log.txt"
    saved, saves, sums, count = time.monotonic(), 0, dict[str, float](), 0
    try:
        wait_until_filled(replay, min(capacity, START), 600)
        while run.step < plan.steps and not stop.asked:
            for name, value in run.update(run.draw(replay)).items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            if run.step % 50 == 0 or run.step == plan.steps:
                terms = " ".join(f"{name} {value / count:.4f}" for name, value in sums.items())
                left = (plan.steps - run.step) * run.seconds / run.step / 60
                _log(log, f"step {run.step} {terms} contents {replay.written() // variety.views} left {left:.0f} min")
                sums, count = {}, 0
            if time.monotonic() - saved > save_every:
                run.save(checkpoint)
                saves += 1
                if saves % 3 == 0:
                    _log_watched(log, run, watched)
                saved = time.monotonic()
    finally:
        for generator in generators:
            generator.terminate()
    run.save(checkpoint)
    _log_watched(log, run, watched)
    return run


class _Stop:
    """Turns SIGTERM and SIGINT into a clean end: the current step is finished and a checkpoint written."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True


def _watched(folder: Path, contents: int, workers: int) -> dict[str, Ladders]:
    """What progress is watched on, two views of each encode: generated contents, and natural ones if they were made."""
    if not contents:
        return {}
    found = {"held out": held_out_ladders(folder, contents, workers)}
    if (folder / NATURAL).exists():
        found["natural"] = Ladders.load(folder / NATURAL)
    return {name: replace(ladders, clips=ladders.clips[:, :2].copy()) for name, ladders in found.items()}


def _log_watched(log: Path, run: Run, watched: dict[str, Ladders]) -> None:
    for name, ladders in watched.items():
        _log(log, f"step {run.step} {name}: {summary(run, ladders)}")


def summary(run: Run, ladders: Ladders) -> str:
    """SRCC across contents and within a content, of two views."""
    values = predict(run.averaged(), ladders.clips[:, :2])
    return f"srcc {across(values, ladders):.4f} within {within(values, ladders):.4f}"


def held_out_ladders(folder: Path, contents: int, workers: int, variety: Variety = EVALUATION) -> Ladders:
    """Ladders of contents that no training sees, from a run's folder; made when missing."""
    path = folder / f"{variety.name}-{contents}.npz"
    if not path.exists():
        held_out(contents, workers, variety).save(path)
    return Ladders.load(path)


def _log(path: Path, text: str) -> None:
    line = f"{time.strftime('%H:%M:%S')} {text}"
    print(line, flush=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
