"""Writes the pre-trained teacher as half-precision safetensors with its configuration and a model card."""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file

from pipeline.teachers.pretraining.examples import CELL_PX, FRAGMENT_PX, GRID, PATCH_PX, TRAINING, TUBELET, Variety
from pipeline.teachers.pretraining.natural.examples import NaturalVariety
from pipeline.teachers.pretraining.natural.material import Material, account, rules
from pipeline.teachers.pretraining.training import Plan, Run, config

_CARD = """# InternVideo2 tiny: the embedded teacher

A small InternVideo2 ({parameters:.1f} M parameters, RGB, 8 frames, a {grid}x{grid} grid of native-resolution
fragments of {fragment_px} px, tokens of {patch_px} px and {tubelet} frames), pre-trained by this project to see what
compression did to a video. It is the default run's teacher where no released InternVideo2 weights are at hand.

- **Made by** `{command}`
  ({batch} clips a step; this is step {step}; {contents:,} contents; {minutes:.0f} minutes in optimiser steps, on one
  CPU thread of a shared machine), then `--evaluate` and `--export`.
- **Data**: {data}
- **Targets**: log-MSE, structural similarity at two scales and lost contrast of every {cell_px} px; per clip
  MS-SSIM, PSNR, detail loss, CRF, bits per pixel and codec; differences between encodes of one content; and what the
  pixels are like: the energy of frequency bands and of motion, per token and per clip.
- **Head**: one output, (MS-SSIM in dB - 16) / 5. It is a full-reference measure guessed without the reference, not an
  opinion.
- **Limits**: {limits}; 8-bit 4:2:0; compression and rescaling only. See `docs/pretraining.md`.
- **Not seen in training**, for evaluation and for the default data set: the families of `HELD_OUT` in
  `pipeline/synthesis/sources.py`{held_back}.
"""
_GENERATED = """generated without end: {families} families of procedural sources, {pairs:.0%} of them two families at
  once, {cameras:.0%} filmed by any camera and the others by a common one; encoded with x264, x265, libvpx-vp9 and
  SVT-AV1 at random CRF, preset, key-frame distance, resolution and frame rate ({slowest} to {fastest} a second),
  {double:.0%} of them twice. No {natural}opinion score."""
_NATURAL = """{share:.0%} of the contents are natural: photographs ({photographs} files) in motion, and where there are
  clips ({clips} files) parts of them for a share of {of_clips:.0%}; none of these files is part of this
  project. They are encoded as the others are, a fifth of them to a bit rate. The rest is """


def export(
    run: Run,
    folder: Path,
    contents: int,
    measured: Sequence[str],
    variety: Variety = TRAINING,
    evaluation: tuple[Material, Sequence[Path]] = (Material(), ()),
) -> None:
    """Writes ``model.safetensors``, ``config.json`` and ``README.md``.

    Args:
        run: its averaged weights are written.
        folder: made when missing.
        contents: how many were generated for the run.
        measured: what evaluations printed; each ends the model card as it is.
        variety: what the contents were drawn from.
        evaluation: natural material that was held back, and the folders that it and the training's came from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = run.averaged().model.state_dict()
    save_file({name: value.half().contiguous() for name, value in state.items()}, folder / "model.safetensors")
    config().save_pretrained(folder)
    plan = run.plan
    natural = variety if isinstance(variety, NaturalVariety) else None
    card = _CARD.format(
        command=_command(plan, natural),
        step=run.step,
        batch=plan.groups * plan.encodes,
        contents=contents,
        minutes=run.seconds / 60,
        parameters=sum(value.numel() for value in state.values()) / 1e6,
        grid=GRID,
        fragment_px=FRAGMENT_PX,
        patch_px=PATCH_PX,
        tubelet=TUBELET,
        cell_px=CELL_PX,
        data=_data(variety, natural),
        limits="sources of 144 to 270 lines" + (", natural ones to 1080, most below 270" if natural else ""),
        held_back=f"; {rules()}" if natural else "",
    )
    if natural:
        held, folders = evaluation
        card += "".join("\n" + "\n".join(account(of, natural.material, held)) + "\n" for of in folders)
    card += "".join(f"\n```\n{text}```\n" for text in measured)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _command(plan: Plan, natural: NaturalVariety | None) -> str:
    command = f"python -m pipeline.teachers.pretraining --steps {plan.steps} --seed {plan.seed}"
    command += f" --learning-rate {plan.learning_rate:g} --warmup {plan.warmup}"
    if plan.heads_first:
        command += " --initial TEACHER"
    if natural and natural.material.photographs:
        command += " --photos PHOTOS"
    if natural and natural.material.clips:
        command += " --clips CLIPS"
    return command


def _data(variety: Variety, natural: NaturalVariety | None) -> str:
    generated = _GENERATED.format(
        families=len(variety.families),
        pairs=variety.pairs,
        cameras=variety.cameras,
        double=variety.double,
        slowest=min(variety.frame_rates),
        fastest=max(variety.frame_rates),
        natural="" if natural else "natural video, no ",
    )
    if natural is None:
        return generated
    material = natural.material
    return (
        _NATURAL.format(
            share=natural.natural,
            photographs=len(material.photographs),
            clips=len(material.clips),
            of_clips=natural.clips if material.photographs else 1.0,
        )
        + generated
    )
