"""Cross-fitted teacher scores: what heads say of training videos that they were not tuned on.

A teacher that was tuned on the labelled training videos remembers some of their scores, and a student that learns its
score of these very videos learns the memory with it. With ``adapt.cross_fit_folds: k`` the contents of these videos are
divided into k folds, and for each fold everything that adaptation trains is trained once more without it, from the same
first values; what comes out says the fold's scores. ``distill.cross_fitted_scores`` puts them in place of the teacher's
own in the loss ``teacher_score``. Embeddings and tokens stay the one teacher's: those of k teachers would not be
comparable. So do the scores of unlabelled videos, which the teacher never saw an opinion of.

Ref: cross-fitting as in Chernozhukov et al., "Double/debiased machine learning" (2018), section 1. Its use for
    distillation is ours.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.records import replacing

COLUMNS = ("video_id", "view", "clip_digest", "teacher_sha256", "logit")


class CrossFittingError(PipelineError):
    """Cross-fitted scores cannot be made, or are not those of these clips and this teacher."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """One view's score by a head that was tuned without its content.

    Attributes:
        video_id: of the video.
        view: its number.
        clip_digest: SHA-256 of the pixels.
        teacher_sha256: of the weights of the teacher beside which it was made.
        logit: on the scale of that teacher's own.
    """

    video_id: str
    view: int
    clip_digest: str
    teacher_sha256: str
    logit: float


def folds_of(contents: Sequence[str], *, count: int, seed: int) -> list[NDArray[np.bool_]]:
    """Divides videos by content.

    Args:
        contents: of each video.
        count: folds.
        seed: of the division.

    Returns:
        Per fold, bool, shape ``(n,)``: the videos that are in it; each is in exactly one.

    Raises:
        CrossFittingError: there are fewer contents than folds.
    """
    from sklearn.model_selection import GroupKFold  # here, since it takes seconds and folds are an option

    if len(set(contents)) < count:
        raise CrossFittingError(
            f"adapt.cross_fit_folds: got {count}, but the labelled training videos have {len(set(contents))} contents; "
            "take fewer folds, or 0 for none"
        )
    names = np.array(contents)
    divider = GroupKFold(n_splits=count, shuffle=True, random_state=seed)
    parts = []
    for _, members in divider.split(names, groups=names):
        part = np.zeros(len(names), dtype=np.bool_)
        part[members] = True
        parts.append(part)
    return parts


def write_held_out(path: Path, rows: Sequence[HeldOut]) -> None:
    """Writes the table; a header alone where nothing is cross-fitted."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([row.video_id, row.view, row.clip_digest, row.teacher_sha256, repr(row.logit)] for row in rows)


def read_held_out(path: Path, *, teacher_sha256: str) -> dict[tuple[str, int], HeldOut]:
    """Reads what `write_held_out` wrote: (video, view) → its row.

    Args:
        path: the table.
        teacher_sha256: of the weights that the cached targets are from.

    Raises:
        CrossFittingError: there is none, it is empty, damaged, or of another teacher.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [_parsed(row, path) for row in csv.DictReader(file, strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CrossFittingError(
            f"cannot read {path}: {error}; set adapt.cross_fit_folds to 2 or more and run adapt, or set "
            "distill.cross_fitted_scores to false"
        ) from None
    if not rows:
        raise CrossFittingError(
            f"distill.cross_fitted_scores is true, and {path} has no scores; set adapt.cross_fit_folds to 2 or more "
            "and run adapt"
        )
    odd = {row.teacher_sha256 for row in rows} - {teacher_sha256}
    if odd:
        raise CrossFittingError(
            f"{path} was made beside the teacher {min(odd)[:12]}…, the cached targets by {teacher_sha256[:12]}…; "
            "run adapt and extract again"
        )
    return {(row.video_id, row.view): row for row in rows}


def _parsed(row: Mapping[str, str | None], path: Path) -> HeldOut:
    try:
        found = HeldOut(
            video_id=str(row["video_id"]),
            view=int(str(row["view"])),
            clip_digest=str(row["clip_digest"]),
            teacher_sha256=str(row["teacher_sha256"]),
            logit=float(str(row["logit"])),
        )
    except (KeyError, ValueError):
        raise CrossFittingError(
            f"{path}: got the row {dict(row)}, expected {', '.join(COLUMNS)}; run adapt again"
        ) from None
    if not np.isfinite(found.logit):
        raise CrossFittingError(f"{path}: the score of {found.video_id}, view {found.view}, is {found.logit}")
    return found


def replaced(
    logits: NDArray[np.float32],
    held_out: Mapping[tuple[str, int], HeldOut],
    rows_of: Mapping[str, NDArray[np.int64]],
    *,
    views: Sequence[int],
    digests: Sequence[str],
) -> NDArray[np.float32]:
    """The teacher's logits, those of labelled training videos by heads that had not seen them.

    Args:
        logits: shape ``(n,)``, the teacher's own.
        held_out: the cross-fitted ones.
        rows_of: labelled training video → its rows.
        views: the view of each row.
        digests: of the pixels of each row.

    Raises:
        CrossFittingError: a row has none, or one that was computed from other pixels.
    """
    changed = logits.copy()
    for video_id, rows in rows_of.items():
        for row in rows:
            found = held_out.get((video_id, int(views[row])))
            if found is None or found.clip_digest != digests[row]:
                what = "no cross-fitted score" if found is None else "a cross-fitted score of other pixels"
                raise CrossFittingError(
                    f"{video_id}, view {int(views[row])}, is a labelled training clip and has {what}; run adapt again"
                )
            changed[row] = found.logit
    return changed
