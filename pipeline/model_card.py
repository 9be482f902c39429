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

Higher is better. Calibrated on the validation split with a strictly increasing logistic. A score comes with a 95 %
interval (spread over views and validation residuals). {domain}

## Use

```sh
teachonce score --model models/student x.mp4
```

```python
from pipeline.scoring import QualityScorer

with QualityScorer.from_pretrained("models/student") as scorer:
    result = scorer.score("x.mp4")
print(result.score, (result.low, result.high), result.out_of_domain)
```

Its clips are cut from the video exactly as in training: {views} views of {clip_shape}, policy `{policy}`, frames
`{sampling}`; `config.json` has every detail. `pipeline.students.load_student` gives the bare network.

## Settings

```yaml
{settings}
```

## To be filled in by whoever publishes it

- Licence of these weights:
- Licence of the training videos:
- Licence of the opinion scores:
- Licence of the teacher's weights:
- Intended use:
- Known failures:
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
    view = (config.view or {}).get("view", {})
    settings = "\n".join(f"{key}: {value}" for key, value in config.provenance["distill"].items())
    card = _CARD.format(
        student=config.student,
        clip_shape=tuple(config.clip_shape),
        scales="\n".join(lines),
        settings=settings,
        domain=_domain(config.domain),
        views=config.num_views,
        policy=view.get("policy", "unknown"),
        sampling=view.get("sampling", "unknown"),
        **config.provenance["digests"],
        **metrics,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _domain(domain: dict[str, Any] | None) -> str:
    if domain is None:
        return "It does not know which videos are unlike those of its training."
    return (
        f"A video whose embedding lies further than {domain['threshold']:.3g} from those of {domain['num_videos']} "
        f"training videos (threshold chosen on {domain['num_validation']} validation videos) is called out of domain."
    )
