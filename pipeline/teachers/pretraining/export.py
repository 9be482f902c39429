"""Writes the pre-trained teacher as half-precision safetensors with its configuration and a model card."""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file

from pipeline.teachers.pretraining.examples import CELL_PX, FRAGMENT_PX, GRID, PATCH_PX, TRAINING, TUBELET
from pipeline.teachers.pretraining.training import Run, config

_CARD = """# InternVideo2 tiny: the embedded teacher

A small InternVideo2 ({parameters:.1f} M parameters, RGB, 8 frames, a {grid}x{grid} grid of native-resolution
fragments of {fragment_px} px, tokens of {patch_px} px and {tubelet} frames), pre-trained by this project to see what
compression did to a video. It is the default run's teacher where no released InternVideo2 weights are at hand.

- **Made by** `python -m pipeline.teachers.pretraining --steps {steps}` (seed {seed}, {batch} clips a step; this is step
  {step}; {contents:,} contents; {minutes:.0f} minutes in optimiser steps, on one CPU thread of a shared machine), then
  `--evaluate` and `--export`.
- **Data**: generated without end: {families} families of procedural sources, {pairs:.0%} of the contents two families
  at once, {cameras:.0%} filmed by any camera and the others by a common one; encoded with x264, x265, libvpx-vp9 and
  SVT-AV1 at random CRF, preset, key-frame distance, resolution and frame rate ({slowest} to {fastest} a second),
  {double:.0%} of them twice. No natural video, no opinion score.
- **Targets**: log-MSE, structural similarity at two scales and lost contrast of every {cell_px} px; per clip
  MS-SSIM, PSNR, detail loss, CRF, bits per pixel and codec; differences between encodes of one content; and what the
  pixels are like: the energy of frequency bands and of motion, per token and per clip.
- **Head**: one output, (MS-SSIM in dB - 16) / 5. It is a full-reference measure guessed without the reference, not an
  opinion.
- **Limits**: sources of 144 to 270 lines; 8-bit 4:2:0; compression and rescaling only. See `docs/pretraining.md` for
  how it does on families, settings and seeds it never saw.
- **Not seen in training**, kept for evaluation and for the default data set: see `pipeline/synthesis/sources.py`,
  `HELD_OUT`.
"""


def export(run: Run, folder: Path, contents: int, measured: Sequence[str]) -> None:
    """Writes ``model.safetensors``, ``config.json`` and ``README.md``.

    Args:
        run: its averaged weights are written.
        folder: made when missing.
        contents: how many were generated for the run.
        measured: what evaluations printed; each ends the model card as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = run.averaged().model.state_dict()
    save_file({name: value.half().contiguous() for name, value in state.items()}, folder / "model.safetensors")
    config().save_pretrained(folder)
    plan = run.plan
    card = _CARD.format(
        seed=plan.seed,
        steps=plan.steps,
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
        families=len(TRAINING.families),
        pairs=TRAINING.pairs,
        cameras=TRAINING.cameras,
        double=TRAINING.double,
        slowest=min(TRAINING.frame_rates),
        fastest=max(TRAINING.frame_rates),
    )
    card += "".join(f"\n```\n{text}```\n" for text in measured)
    (folder / "README.md").write_text(card, encoding="utf-8")
