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
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PipelineError
from pipeline.core.files import replacing, replacing_folder

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

LICENCES = {
    "weights": "Licence of these weights",
    "videos": "Licence of the training videos",
    "scores": "Licence of the opinion scores",
    "teacher": "Licence of the teacher's weights",
}
"""What has a licence → how the card calls it."""
_CARD = Path(__file__).with_name("model_card.md")
_METRICS = ("krcc", "plcc_logistic4", "rmse_logistic4")


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
    with replacing_folder(folder) as fresh:
        shutil.copytree(student, fresh, copy_function=shutil.copyfile, dirs_exist_ok=True)
        write_model_card(fresh, config, additions)


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
    # Its import takes a quarter of a second, which only a card is worth.
    from huggingface_hub import ModelCard

    record = config.get("provenance") or {}
    if lacking := sorted({"digests", "teacher", "distill", "metrics"} - record.keys()):
        raise CardError(f"the student's config.json does not have its {', '.join(lacking)}; run distill again")
    view = (config.get("view") or {}).get("view", {})
    card = ModelCard.from_template(
        _metadata(config, additions),
        template_path=str(_CARD),
        student=config["student"],
        clip_shape=tuple(config["clip_shape"]),
        facts=_facts(record),
        figures=additions.figures,
        interval=_interval,
        calibrations=config.get("calibrations") or {},
        domain=config.get("domain"),
        views=config.get("num_views"),
        policy=view.get("policy", "unknown"),
        sampling=view.get("sampling", "unknown"),
        settings=record["distill"],
        licence_names=LICENCES,
        licences=additions.licences,
    )
    return f"{card}\n"


def _metadata(config: Mapping[str, Any], additions: Additions) -> "ModelCardData":
    """What the Hugging Face Hub reads, the figures of the test split among it."""
    from huggingface_hub import EvalResult, ModelCardData

    weights, figures = additions.licences.get("weights"), additions.figures
    scored = {} if figures is None else {name: figures.metrics["student"][name] for name in ("srcc", *_METRICS)}
    sets = ", ".join(config.get("calibrations") or {})
    results = [
        EvalResult("video-classification", sets, sets, name, value, dataset_split="test")
        for name, value in scored.items()
        if math.isfinite(value)
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="video-classification",
        tags=["video-quality-assessment", "distillation", "teachonce"],
        license=weights or "other",
        license_name=None if weights else "to-be-filled-in",
        model_name=f"teachonce-{config['student']}" if results else None,
        eval_results=results or None,
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


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None or not all(map(math.isfinite, (value, low, high))):
        return "undefined"
    return f"{value:.3f} ({low:.3f} … {high:.3f})"
