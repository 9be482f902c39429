"""Pre-trains the embedded teacher (InternVideo2 'tiny') on unlimited generated video; see docs/pretraining.md.

python -m pipeline.teachers.pretraining  # trains, or goes on; an hour of two cores
python -m pipeline.teachers.pretraining --evaluate  # held-out families, and baselines
python -m pipeline.teachers.pretraining --evaluate --wide  # the same, each content by another camera
python -m pipeline.teachers.pretraining --evaluate --videos FOLDER --height 270  # natural pristine videos
python -m pipeline.teachers.pretraining --export models/pretrained/internvideo2_tiny
python -m pipeline.teachers.pretraining --miniature  # everything above, in under a minute
"""

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch

from cache.store.scratch import scratch_folder
from pipeline.core.errors import PipelineError
from pipeline.teachers.pretraining.evaluation import Ladders, across, baselines, held_out, natural, predict, within
from pipeline.teachers.pretraining.examples import EVALUATION, TRAINING, WIDE_EVALUATION, Variety
from pipeline.teachers.pretraining.export import export
from pipeline.teachers.pretraining.natural.examples import NaturalVariety
from pipeline.teachers.pretraining.natural.ladders import natural_ladders, report
from pipeline.teachers.pretraining.natural.material import natural_material
from pipeline.teachers.pretraining.replay import START, Replay, next_content, start_generators, wait_until_filled
from pipeline.teachers.pretraining.training import Plan, Run, saved_plan

_HEADS_FIRST = 150
_PHOTOGRAPH_CONTENTS = 12
_NATURAL = "natural-held-back.npz"


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line asks for."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        if options.miniature:
            _miniature(options.threads)
        elif options.evaluate and (options.photos or options.clips):
            _evaluate_natural(options)
        elif options.evaluate:
            _evaluate(options)
        elif options.export:
            run = _restored(options)
            measured = [
                options.folder / name for name in ("held-out.txt", "held-out-wide.txt", "natural-held-back.txt")
            ]
            texts = [path.read_text(encoding="utf-8") for path in measured if path.exists()]
            export(run, options.export, next_content(options.folder / "replay"), texts)
            print(f"exported step {run.step} to {options.export}")
        else:
            plan = Plan(
                steps=options.steps,
                learning_rate=options.learning_rate,
                seed=options.seed,
                warmup=options.warmup,
                heads_first=_HEADS_FIRST if options.initial else 0,
            )
            train(
                plan,
                options.folder,
                _variety(options),
                options.capacity,
                options.workers,
                options.save_every,
                options.watch,
                options.initial,
            )
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _variety(options: argparse.Namespace) -> Variety:
    """What contents are drawn from: generated families alone, or natural material beside them."""
    found = natural_material(options.photos, options.clips, options.folder / "footage")
    if found is None:
        return TRAINING
    return NaturalVariety(**{**vars(TRAINING), "name": "natural", "material": found[0], "natural": options.natural})


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
    found = {"held out": _held_out(folder, contents, workers)}
    if (folder / _NATURAL).exists():
        found["natural"] = Ladders.load(folder / _NATURAL)
    return {name: replace(ladders, clips=ladders.clips[:, :2].copy()) for name, ladders in found.items()}


def _log_watched(log: Path, run: Run, watched: dict[str, Ladders]) -> None:
    for name, ladders in watched.items():
        _log(log, f"step {run.step} {name}: {_summary(run, ladders)}")


def _summary(run: Run, ladders: Ladders) -> str:
    values = predict(run.averaged(), ladders.clips[:, :2])
    return f"srcc {across(values, ladders):.4f} within {within(values, ladders):.4f}"


def _evaluate_natural(options: argparse.Namespace) -> None:
    """On the held-back part of ``--photos`` and ``--clips``."""
    folder: Path = options.folder
    found = natural_material(options.photos, options.clips, folder / "footage")
    if found is None:
        raise PipelineError("got neither --photos nor --clips; name a folder whose held-back part is to be measured")
    path = folder / _NATURAL
    if not path.exists():
        natural_ladders(found[1], _PHOTOGRAPH_CONTENTS, options.workers).save(path)
    ladders, run = Ladders.load(path), _restored(options)
    lines = report(f"natural, held back; step {run.step}", predict(run.averaged(), ladders.clips), ladders)
    print("\n".join(lines))
    (folder / "natural-held-back.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _evaluate(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    name = "natural" if options.videos else "held-out-wide" if options.wide else "held-out"
    variety = WIDE_EVALUATION if options.wide else EVALUATION
    if options.videos:
        ladders = natural(options.videos, options.height)
    else:
        ladders = _held_out(folder, options.contents, options.workers, variety)
    run = _restored(options)
    values = predict(run.averaged(), ladders.clips)
    lines = [f"{name}: {len(values)} encodes of {len(set(ladders.content))} contents; step {run.step}"]
    lines.append(f"{'':28s} SRCC across   within")
    named = [("embedded teacher", values), *baselines(ladders, training_contents=200)]
    lines += [f"{title:28s} {across(found, ladders):11.3f} {within(found, ladders):8.3f}" for title, found in named]
    print("\n".join(lines))
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _held_out(folder: Path, contents: int, workers: int, variety: Variety = EVALUATION) -> Ladders:
    path = folder / f"{variety.name}-{contents}.npz"
    if not path.exists():
        held_out(contents, workers, variety).save(path)
    return Ladders.load(path)


def _restored(options: argparse.Namespace) -> Run:
    path = options.folder / "checkpoint.pt"
    if not path.exists():
        raise PipelineError(f"{path} does not exist; train first: python -m pipeline.teachers.pretraining --steps N")
    run = Run(replace(saved_plan(path), compiled=False))
    run.restore(path)
    return run


def _miniature(threads: int) -> None:
    """Every part at a small size: generate, train, stop, continue, evaluate, export."""
    torch.set_num_threads(threads)
    variety = replace(TRAINING, views=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = Plan(steps=4, groups=2, encodes=2, warmup=2, compiled=False)
        train(plan, folder, variety, capacity=24, workers=1, save_every=1e9, watch=0)
        run = train(replace(plan, steps=6), folder, variety, capacity=24, workers=1, save_every=1e9, watch=0)
        print(f"miniature: {run.step} steps; {_summary(run, held_out(2, 1))}")
        export(run, folder / "export", next_content(folder / "replay"), [])
        print("exported: " + ", ".join(sorted(path.name for path in (folder / "export").iterdir())))


def _log(path: Path, text: str) -> None:
    line = f"{time.strftime('%H:%M:%S')} {text}"
    print(line, flush=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.teachers.pretraining", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--photos", type=Path, help="folder of photographs to make contents of")
    parser.add_argument("--clips", type=Path, help="folder of natural clips to make contents of")
    parser.add_argument("--natural", type=float, default=0.7, help="share of the contents made of --photos and --clips")
    parser.add_argument("--initial", type=Path, help="exported teacher whose weights a new run begins with")
    parser.add_argument("--steps", type=int, default=10000, help="optimiser steps in all")
    parser.add_argument("--learning-rate", type=float, default=Plan(steps=1).learning_rate)
    parser.add_argument("--warmup", type=int, default=Plan(steps=1).warmup, help="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of the training process")
    parser.add_argument("--workers", type=int, default=2, help="generator processes")
    parser.add_argument("--capacity", type=int, default=12000, help="groups in the replay pool, 0.9 MB each")
    parser.add_argument(
        "--folder", type=Path, default=scratch_folder() / "pretrain", help="checkpoint, pool and log (git-ignored)"
    )
    parser.add_argument("--save-every", type=float, default=180.0, help="seconds between checkpoints")
    parser.add_argument("--watch", type=int, default=16, help="held-out contents to watch while training")
    parser.add_argument("--evaluate", action="store_true", help="measure the last checkpoint")
    parser.add_argument("--wide", action="store_true", help="evaluate on contents by any camera")
    parser.add_argument("--contents", type=int, default=64, help="held-out contents to evaluate on")
    parser.add_argument("--videos", type=Path, help="evaluate on re-encodes of the pristine videos of this folder")
    parser.add_argument("--height", type=int, default=270, help="of --videos, scaled first; 0 keeps their size")
    parser.add_argument("--export", type=Path, help="write the averaged weights in half precision to this folder")
    parser.add_argument("--miniature", action="store_true", help="the whole program in under a minute")
    return parser


if __name__ == "__main__":
    sys.exit(main())
