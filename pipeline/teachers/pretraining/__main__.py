"""Pre-trains the embedded teacher (InternVideo2 'tiny') on unlimited generated video; see docs/pretraining.md.

python -m pipeline.teachers.pretraining  # trains, or goes on; an hour of two cores
python -m pipeline.teachers.pretraining --photos FOLDER --clips FOLDER  # on natural material beside the generated
python -m pipeline.teachers.pretraining --evaluate --photos FOLDER --clips FOLDER  # its held-back part
python -m pipeline.teachers.pretraining --evaluate  # held-out families, and baselines
python -m pipeline.teachers.pretraining --evaluate --wide  # the same, each content by another camera
python -m pipeline.teachers.pretraining --evaluate --videos FOLDER --height 270  # natural pristine videos
python -m pipeline.teachers.pretraining --export models/pretrained/internvideo2_tiny
python -m pipeline.teachers.pretraining --miniature  # everything above, in under a minute
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from cache.store.scratch import scratch_folder
from pipeline.core.errors import PipelineError
from pipeline.synthesis.seeding import generator
from pipeline.teachers.pretraining.evaluation import (
    Ladders,
    across,
    baselines,
    held_out,
    natural,
    predict,
    ridge_on_hand_features,
    within,
)
from pipeline.teachers.pretraining.examples import EVALUATION, TRAINING, WIDE_EVALUATION, Variety
from pipeline.teachers.pretraining.export import export
from pipeline.teachers.pretraining.natural.examples import NaturalVariety
from pipeline.teachers.pretraining.natural.ladders import natural_ladders, report
from pipeline.teachers.pretraining.natural.material import Material, natural_material
from pipeline.teachers.pretraining.objectives import Pretrainer
from pipeline.teachers.pretraining.replay import Replay, next_content
from pipeline.teachers.pretraining.training import Plan, Run, saved_plan
from pipeline.teachers.pretraining.watched_run import NATURAL, held_out_ladders, summary, train

_HEADS_FIRST = 150
_PHOTOGRAPH_CONTENTS = 12
_RIDGE_GROUPS = 600


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
            _export(options)
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
                _variety(options)[0],
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


def _variety(options: argparse.Namespace) -> tuple[Variety, Material]:
    """What contents are drawn from, natural material among it where there is any; and what of that is held back."""
    found = natural_material(options.photos, options.clips, options.folder / "footage")
    if found is None:
        return TRAINING, Material()
    training, held = found
    natural = {**vars(TRAINING), "name": "natural", "material": training, "natural": options.natural}
    return NaturalVariety(**natural), held


def _export(options: argparse.Namespace) -> None:
    """The last checkpoint, with a card that says what ``--photos`` and ``--clips`` it was trained on."""
    run = _restored(options)
    measured = [options.folder / f"{name}.txt" for name in ("held-out", "held-out-wide", "natural-held-back")]
    texts = [path.read_text(encoding="utf-8") for path in measured if path.exists()]
    variety, held = _variety(options)
    folders = [folder for folder in (options.photos, options.clips) if folder]
    contents = next_content(options.folder / "replay")
    export(run, options.export, contents, texts, variety, (held, folders))
    print(f"exported step {run.step} to {options.export}")


def _evaluate_natural(options: argparse.Namespace) -> None:
    """On the held-back part of ``--photos`` and ``--clips``."""
    folder: Path = options.folder
    found = natural_material(options.photos, options.clips, folder / "footage")
    if found is None:
        raise PipelineError("got neither --photos nor --clips; name a folder whose held-back part is to be measured")
    path = folder / NATURAL
    if not path.exists():
        natural_ladders(found[1], _PHOTOGRAPH_CONTENTS, options.workers).save(path)
    ladders, (name, teacher) = Ladders.load(path), _teacher(options)
    pool = Replay(options.folder / "replay", options.capacity)
    drawn = pool.sample(generator("ridge", options.seed), _RIDGE_GROUPS, counted=False)
    ridge = ridge_on_hand_features([drawn], ladders)
    values = predict(teacher, ladders.clips)
    lines = report(f"natural, held back; {name}", values, ladders, {"ridge on hand features": ridge})
    print("\n".join(lines))
    (folder / "natural-held-back.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _evaluate(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    name = "natural" if options.videos else "held-out-wide" if options.wide else "held-out"
    variety = WIDE_EVALUATION if options.wide else EVALUATION
    if options.videos:
        ladders = natural(options.videos, options.height)
    else:
        ladders = held_out_ladders(folder, options.contents, options.workers, variety)
    of, teacher = _teacher(options)
    values = predict(teacher, ladders.clips)
    lines = [f"{name}: {len(values)} encodes of {len(set(ladders.content))} contents; {of}"]
    lines.append(f"{'':28s} SRCC across   within")
    named = [("embedded teacher", values), *baselines(ladders, training_contents=200)]
    lines += [f"{title:28s} {across(found, ladders):11.3f} {within(found, ladders):8.3f}" for title, found in named]
    print("\n".join(lines))
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _restored(options: argparse.Namespace) -> Run:
    path = options.folder / "checkpoint.pt"
    if not path.exists():
        raise PipelineError(f"{path} does not exist; train first: python -m pipeline.teachers.pretraining --steps N")
    run = Run(replace(saved_plan(path), compiled=False))
    run.restore(path)
    return run


def _teacher(options: argparse.Namespace) -> tuple[str, Pretrainer]:
    """What is measured, with its name: the exported teacher ``--initial``, or the last checkpoint."""
    if options.initial is None:
        run = _restored(options)
        return f"step {run.step}", run.averaged()
    run = Run(Plan(steps=1, compiled=False))
    run.begin_with(options.initial)
    return str(options.initial), run.averaged()


def _miniature(threads: int) -> None:
    """Every part at a small size: generate, train, stop, continue, evaluate, export."""
    torch.set_num_threads(threads)
    variety = replace(TRAINING, views=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = Plan(steps=4, groups=2, encodes=2, warmup=2, compiled=False)
        train(plan, folder, variety, capacity=24, workers=1, save_every=1e9, watch=0)
        run = train(replace(plan, steps=6), folder, variety, capacity=24, workers=1, save_every=1e9, watch=0)
        print(f"miniature: {run.step} steps; {summary(run, held_out(2, 1))}")
        export(run, folder / "export", next_content(folder / "replay"), [])
        print("exported: " + ", ".join(sorted(path.name for path in (folder / "export").iterdir())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.teachers.pretraining", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--photos", type=Path, help="folder of photographs to make contents of")
    parser.add_argument("--clips", type=Path, help="folder of natural clips to make contents of")
    parser.add_argument("--natural", type=float, default=0.7, help="share of the contents made of --photos and --clips")
    parser.add_argument("--initial", type=Path, help="exported teacher: a new run begins with it, or it is measured")
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
