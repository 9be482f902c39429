"""``README.md`` of a trained student: what it is, what it was made from, how well it did, how to use it.

``distill`` writes the card from what it knows: the run, and agreement on validation. The test split is scored later, by
another stage, which may not touch what this one made; ``teachonce card`` then copies the student to a folder of its
own, with the test figures and the licences in its card.
"""

import csv
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.files import replacing

LICENCES = {
    "weights": "Licence of these weights",
    "videos": "Licence of the training videos",
    "scores": "Licence of the opinion scores",
    "teacher": "Licence of the teacher's weights",
}
"""What has a licence → how the card calls it."""
_HERE = Path(__file__).parent
_CARD = _HERE / "model_card.md"
_METRICS = {"krcc": 3, "plcc_logistic4": 3, "rmse_logistic4": 2}


class CardError(PipelineError):
    """The figures for a card are missing, or belong to another student."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What ``evaluate`` found.

    Attributes:
        metrics: predictor → metric → value.
        num_videos: of the test split.
        model: digest of the student that was scored.
    """

    metrics: Mapping[str, Mapping[str, float]]
    num_videos: int
    model: str


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a card says that training does not know.

    Attributes:
        figures: of the test split; None where it has not been scored.
        licences: keys of `LICENCES` → name of the licence; others are left to be filled in.
    """

    figures: Figures | None = None
    licences: Mapping[str, str] = field(default_factory=dict)


def write_model_card(folder: Path, config: Mapping[str, Any], additions: Additions | None = None) -> None:
    """Writes the card beside the weights.

    Args:
        folder: such as ``models/student``.
        config: the student's ``config.json``.
        additions: what is known beside it.
    """
    text = card_text(config, additions or Additions())
    with replacing(folder / "README.md") as partial:
        partial.write_text(text, encoding="utf-8")


def publish(student: Path, folder: Path, config: Mapping[str, Any], additions: Additions) -> None:
    """Copies a student to a folder of its own and completes its card there.

    Args:
        student: ``models/student``, which stays as it is.
        folder: made here; must not be there.
        config: the student's ``config.json``.
        additions: for the card.

    Raises:
        CardError: the folder is there already.
    """
    if folder.exists():
        raise CardError(f"{folder} is there already; name a new folder, or remove it")
    # Contents alone: what DVC made read-only is free in a copy.
    shutil.copytree(student, folder, copy_function=shutil.copyfile)
    write_model_card(folder, config, additions)


def read_figures(results: Path) -> Figures:
    """Reads ``results/evaluate``.

    Raises:
        CardError: a file is missing or malformed.
    """
    try:
        metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
        with (results / "details.csv").open(encoding="utf-8", newline="") as file:
            models = [row["model"] for row in csv.DictReader(file)]
        return Figures(metrics=metrics, num_videos=len(models), model=models[0])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise CardError(f"cannot read the test figures of {results}: {error}; run the stage evaluate first") from None


def card_text(config: Mapping[str, Any], additions: Additions) -> str:
    """The card of a student.

    Args:
        config: its ``config.json``.
        additions: what is known beside it.

    Raises:
        CardError: the student does not say how it was trained.
    """
    record = config.get("provenance") or {}
    if lacking := sorted({"digests", "teacher", "distill", "metrics"} - record.keys()):
        raise CardError(f"the student's config.json does not tell its {', '.join(lacking)}; run distill again")
    view = (config.get("view") or {}).get("view", {})
    weights = additions.licences.get("weights")
    return _CARD.read_text(encoding="utf-8").format(
        license=weights or "other\nlicense_name: to-be-filled-in",
        student=config["student"],
        clip_shape=tuple(config["clip_shape"]),
        facts="\n".join(f"| {name} | {value} |" for name, value in _facts(record).items()),
        test=_test(additions.figures),
        scales=_scales(config.get("calibrations") or {}),
        domain=_domain(config.get("domain")),
        views=config.get("num_views"),
        policy=view.get("policy", "unknown"),
        sampling=view.get("sampling", "unknown"),
        settings="\n".join(f"{key}: {value}" for key, value in record["distill"].items()),
        licences="\n".join(f"- {name}: {additions.licences.get(key, '')}".rstrip() for key, name in LICENCES.items()),
    )


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    metrics = record["metrics"]
    facts = {
        "parameters": f"{metrics['parameters']:,}",
        "FLOPs per clip": f"{metrics['flops']:,}",
        "best epoch": f"{metrics['best_epoch']} of {metrics['epochs']}, chosen on validation",
    }
    if "val_all_views_srcc" in metrics:
        ends = [metrics[f"val_all_views_srcc{end}"] for end in ("", "_low", "_high")]
        facts["validation SRCC"] = f"{_interval(*ends)}; the epoch was chosen on this split, so it flatters"
    facts["training videos"] = f"{metrics['train_videos']}, of which {metrics['labelled_train_videos']} with a score"
    facts["validation videos"] = f"{metrics['val_videos']}"
    teacher = record["teacher"]
    if "preprocessing" in teacher:
        shape = teacher["architecture"]
        facts["teacher"] = (
            f"`{teacher['preprocessing']['family']}`, width {shape['embed_dim']}, depth {shape['depth']}, "
            f"weights sha256 `{teacher['weights_sha256']}`"
        )
    return facts | {name: f"sha256 `{digest}`" for name, digest in record["digests"].items() if digest}


def _test(figures: Figures | None) -> str:
    if figures is None:
        return "Not measured when this card was written; `teachonce card` adds what `evaluate` found."
    lines = ["| predictor | SRCC (95 % interval) | KRCC | PLCC, logistic | RMSE, logistic |", "|---|---|---|---|---|"]
    for name, values in figures.metrics.items():
        agreement = _interval(values["srcc"], values["srcc_low"], values["srcc_high"])
        others = " | ".join(f"{values[key]:.{digits}f}" for key, digits in _METRICS.items())
        lines.append(f"| {name.replace('_', ' ')} | {agreement} | {others} |")
    student = figures.metrics["student"]
    return "\n".join(
        [
            f"{figures.num_videos} videos whose contents training never saw, scored once. Intervals come from "
            "resampling whole contents.",
            "",
            *lines,
            "",
            f"The intervals of the student's scores held {100 * student['interval_coverage']:.0f} % of the true ones; "
            f"their mean width is {100 * student['interval_width']:.0f} % of the scale.",
        ]
    )


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None or not all(map(math.isfinite, (value, low, high))):
        return "undefined"
    return f"{value:.3f} ({low:.3f} … {high:.3f})"


def _scales(calibrations: Mapping[str, Mapping[str, Any]]) -> str:
    if not calibrations:
        return "Not calibrated: no validation video had a score."
    lines = []
    for name, fit in calibrations.items():
        factor = fit["interval_factor"]
        told = "too few for an interval" if factor is None else f"interval factor {factor:.3g}"
        lines.append(
            f"- `{name}`: {fit['score_name']}, {fit['scale_low']:g} (worst) to {fit['scale_high']:g} (best), residual "
            f"deviation {fit['residual_std']:.3g} on {fit['num_videos']} validation videos of {fit['num_contents']} "
            f"contents, {told}"
        )
    return "\n".join(lines)


def _domain(domain: Mapping[str, Any] | None) -> str:
    if domain is None:
        return "It does not know which videos are unlike those of its training."
    return (
        f"A video that lies further than {domain['threshold']:.3g} from {domain['num_videos']} training videos, by its "
        f"embedding and the statistics of its pixels (threshold chosen on {domain['num_validation']} validation "
        "videos), is called out of domain."
    )
