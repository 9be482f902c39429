"""Recheck: the live teacher against its cached outputs, on a sample of videos.

Equal bytes are promised on one kind of machine only; across machines a row must agree within a tolerance that covers
the arithmetic of another processor and the rounding of the stored precision.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.store import OK, Job, Rows, Store, Unit, open_store
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import CLIP_DIGEST
from pipeline.teachers.extraction.extractor import Extractor, Plan
from pipeline.teachers.extraction.settings import ExtractSettings
from pipeline.teachers.shared.saved import SavedTeacher, load_teacher

TOLERANCES = {"float32": 1e-4, "float16": 2e-3, "bfloat16": 2e-2}
"""Stored dtype → largest difference allowed, as a share of the row's largest magnitude."""
_BFLOAT16_ARITHMETIC = 5e-2


class RecheckError(PipelineError):
    """The teacher or the clips at hand are not the ones that the store was made from."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How one array fared.

    Attributes:
        array: its name.
        rows: how many rows were compared.
        largest: the largest difference, as a share of its row's largest magnitude.
        tolerance: what is allowed.
        worst_video: whose row it is.
    """

    array: str
    rows: int
    largest: float
    tolerance: float
    worst_video: str

    @property
    def good(self) -> bool:
        """Whether every row agreed; what cannot be compared does not."""
        return self.largest <= self.tolerance


def recheck(
    targets: Path, *, clips: Path, teacher: Path, sample: int, seed: int = 0, device: str = "cpu"
) -> list[Compared]:
    """Runs the teacher again on a sample of videos.

    Args:
        targets: the target store.
        clips: the clip store that it was made from.
        teacher: the folder of the teacher that made it.
        sample: how many videos, drawn with ``seed``; all of them when there are fewer.
        seed: of the draw.
        device: where the teacher runs.

    Returns:
        One result per array.

    Raises:
        RecheckError: the teacher's weights, or a sampled clip's pixels, are not those of the store.
    """
    store = open_store(targets)
    settings, saved = _settings(store), load_teacher(teacher)
    _check_teacher(store, saved)
    extractor = Extractor(Plan(teacher=saved, clips=clips, settings=settings, device=device))
    seen = open_store(clips)
    good = [unit for unit in store.units() if np.all(store.status[store.rows_of(unit.video_id)] == OK)]
    chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(good))[:sample]
    shares = {good[index].video_id: _shares(store, seen, extractor, good[index]) for index in sorted(chosen)}
    worst = {name: max(shares, key=lambda video: shares[video][name], default="") for name in store.arrays}
    return [
        Compared(
            array=name,
            rows=len(shares) * store.views_per_video,
            largest=shares[video][name] if video else 0.0,
            tolerance=_tolerance(store, name),
            worst_video=video,
        )
        for name, video in worst.items()
    ]


def _shares(store: Store, clips: Store, extractor: Extractor, unit: Unit) -> dict[str, float]:
    """Of each array the largest difference in one video's rows, as a share of the row's largest magnitude."""
    rows, recorded = store.rows_of(unit.video_id), store.column(CLIP_DIGEST)
    pixels = clips.row_digests(_settings(store).view_set)
    if [recorded[row] for row in rows] != [pixels[row] for row in clips.rows_of(unit.video_id)]:
        raise RecheckError(f"{unit.video_id}: the clips have other pixels than the store was made from; run extract")
    live = extractor(Job(unit, tuple(store.arrays)))
    if not isinstance(live, Rows):
        raise RecheckError(f"{unit.video_id}: {live.reason}")
    return {name: _difference(store.read(name, rows), expected) for name, expected in live.arrays.items()}


def _difference(stored: Any, live: Any) -> float:
    axes = tuple(range(1, live.ndim))
    scale = np.maximum(np.abs(live).max(axis=axes), np.finfo(np.float32).tiny)
    shares = np.abs(stored.astype(np.float64) - live).max(axis=axes) / scale
    return float(np.nan_to_num(shares, nan=np.inf).max())


def _tolerance(store: Store, name: str) -> float:
    fingerprint = store.fingerprint[name]
    stored = TOLERANCES[fingerprint["dtype"]]
    return max(stored, _BFLOAT16_ARITHMETIC) if fingerprint["precision"] == "bfloat16" else stored


def _settings(store: Store) -> ExtractSettings:
    """How the store was made, from its own fingerprints."""
    first = next(iter(store.fingerprint.values()))
    return ExtractSettings.parse(
        {
            "view_set": first["view_set"],
            "kinds": list(store.arrays),
            "layers": store.fingerprint.get("layers", {}).get("layers", []),
            "tokens_grid": store.fingerprint.get("tokens", {}).get("tokens_grid"),
            "precision": first["precision"],
            "dtype": first["dtype"],
            "max_failed": 0,
            "threads": first["threads"],
            "videos_per_batch": first.get("videos_per_batch", 1),
            "compile": first.get("compiled", False),
        },
        "the store's fingerprint",
    )


def _check_teacher(store: Store, teacher: SavedTeacher) -> None:
    for name, fingerprint in store.fingerprint.items():
        if fingerprint["weights_sha256"] != teacher.weights_sha256:
            raise RecheckError(
                f"{name} was made by the weights {fingerprint['weights_sha256'][:12]}…, but {teacher.folder} "
                f"({teacher.description['teacher']}) holds {teacher.weights_sha256[:12]}…; name the teacher that made "
                "it, or run extract"
            )
