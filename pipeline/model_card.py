"""``README.md`` of a trained student: what it is, what it was made from, how well it validated, how to use it."""

from pathlib import Path
from typing import Any

from pipeline.students import StudentModel

_CARD = """---
library_name: transformers
pipeline_tag: video-classification
tags: [video-quality-assessment, distillation, teachonce]
license: other
license_name: to-be-filled-in
---

# Student `{student}`

A no-reference video quality model, distilled with TeachOnce from cached targets of a teacher. It takes uint8 RGB clips
of shape (frames, height, width, 3) = {clip_shape} and gives one score per clip; a video's score is the mean over its
views, calibrated.

| | |
|---|---|
| parameters | {parameters:,} |
| FLOPs per clip | {flops:,} |
| best epoch | {best_epoch} of {epochs} |
| validation SRCC | {val_srcc:.4f} |
| training videos | {train_videos}, of which {labelled_train_videos} with a score |
| clips | sha256 `{clips}` |
| targets | sha256 `{targets}` |

## Scale

{scales}

Higher is better. Calibrated on the validation split with a strictly increasing logistic.

## Use

```python
from pipeline.students import load_student

student = load_student("models/student")
scores = student(clips).score  # clips: uint8 (b, t, h, w, c), as rendered for it
mos = student.calibration()(scores.mean().detach().numpy())
```

## Settings

```yaml
{settings}
```

## To be filled in by whoever publishes it

Licence of the training videos, of the opinion scores and of the teacher's weights; intended use; known failures.
"""


def write_model_card(folder: Path, student: StudentModel, metrics: dict[str, Any]) -> None:
    """Writes the card beside the weights.

    Args:
        folder: ``models/student``.
        student: trained and calibrated.
        metrics: as in ``results/distill/metrics.json``.
    """
    config = student.config
    lines = [
        f"- `{name}`: {fit['score_name']}, {fit['scale_low']:g} (worst) to {fit['scale_high']:g} (best), "
        f"residual deviation {fit['residual_std']:.3g} on {fit['num_videos']} validation videos"
        for name, fit in (config.calibrations or {}).items()
    ]
    settings = "\n".join(f"{key}: {value}" for key, value in config.provenance["distill"].items())
    card = _CARD.format(
        student=config.student,
        clip_shape=tuple(config.clip_shape),
        scales="\n".join(lines),
        settings=settings,
        **config.provenance["digests"],
        **metrics,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
