"""What the target store holds: its arrays with all that shapes their values, and its units of work."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cache.store import OK, ArraySpec, Store, Unit
from pipeline.models.internvideo2 import InternVideo2Config
from pipeline.teachers.extraction.settings import ExtractSettings
from pipeline.teachers.shared.saved import SavedTeacher, TeacherError

VERSION = 1
"""Raised whenever code changes that shapes the value of a target; tests/pipeline/core/test_versions.py asks for it."""

BATCH_RULE = "one batch per video: all its views, in order"
WIDER_BATCH_RULE = "so many videos per batch, all their views in order, padded with zeros to this size"


def target_specs(settings: ExtractSettings, teacher: SavedTeacher) -> list[ArraySpec]:
    """The arrays of the target store, each with the fingerprint of all that shapes its values.

    Raises:
        TeacherError: a kind that this teacher does not have, or layers that are not named.
    """
    config = InternVideo2Config.from_pretrained(teacher.folder)
    time, height, width = config.grid
    side_rows = settings.tokens_grid or height
    side_columns = settings.tokens_grid or width
    shapes: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
        "embedding": ((config.pool_dim,), ("channel",)),
        "embedding_normed": ((config.pool_dim,), ("channel",)),
        "projected": ((config.projection_dim,), ("projected_channel",)),
        "logits": ((config.num_classes,), ("class",)),
        "layers": ((len(settings.layers), config.embed_dim), ("layer", "token_channel")),
        "tokens": (
            (time, side_rows, side_columns, config.embed_dim),
            ("token_t", "token_h", "token_w", "token_channel"),
        ),
    }
    if "logits" in settings.kinds and not config.num_classes:
        raise TeacherError(
            "extract.kinds has 'logits', but the teacher has no head; remove it, or adapt with epochs > 0"
        )
    if "projected" in settings.kinds and not config.projection_dim:
        raise TeacherError(
            "extract.kinds has 'projected', but the teacher has no projection; stage-2 and CLIP files do"
        )
    if "layers" in settings.kinds and not settings.layers:
        raise TeacherError(f"extract.kinds has 'layers'; name blocks in extract.layers, 0 to {config.depth - 1}")
    if any(layer >= config.depth for layer in settings.layers):
        raise TeacherError(f"extract.layers: got {settings.layers}; this teacher's blocks are 0 to {config.depth - 1}")
    architecture = _architecture(config)
    return [
        ArraySpec(
            name=kind,
            dtype=settings.dtype,
            shape=shapes[kind][0],
            dims=shapes[kind][1],
            fingerprint=_fingerprint(kind, settings, teacher, architecture),
        )
        for kind in settings.kinds
    ]


def _architecture(config: InternVideo2Config) -> dict[str, Any]:
    """The configuration's own fields that shape an evaluation; what transformers adds would change with its version."""
    training_only = {"drop_path_rate", "head_dropout"}
    names = [field.name for field in fields(InternVideo2Config) if field.name in InternVideo2Config.__annotations__]
    return {name: getattr(config, name) for name in names if name not in training_only}


def _fingerprint(
    kind: str, settings: ExtractSettings, teacher: SavedTeacher, architecture: Mapping[str, Any]
) -> dict[str, Any]:
    fingerprint: dict[str, Any] = {
        "kind": kind,
        "dtype": settings.dtype,
        "weights_sha256": teacher.weights_sha256,
        "architecture": dict(architecture),
        "preprocessing": teacher.preprocessing,
        "view_set": settings.view_set,
        "precision": settings.precision,
        "threads": settings.threads,
        "batch_rule": BATCH_RULE,
        "version": VERSION,
    }
    if settings.videos_per_batch > 1:
        fingerprint |= {"batch_rule": WIDER_BATCH_RULE, "videos_per_batch": settings.videos_per_batch}
    if settings.compile:
        fingerprint["compiled"] = True
    if kind == "layers":
        fingerprint["layers"] = list(settings.layers)
    if kind == "tokens":
        fingerprint["tokens_grid"] = settings.tokens_grid
    return fingerprint


def target_units(store: Store, view_set: str) -> list[Unit]:
    """One unit per video of the clip store; its source is a digest over the pixel digests of its views."""
    digests = store.row_digests(view_set)
    units: list[Unit] = []
    for video_id in dict.fromkeys(store.video_ids):
        rows = store.rows_of(video_id)
        pixels = "".join(digests[row] if store.status[row] == OK else f"failed {row}" for row in rows)
        units.append(
            Unit(
                video_id=video_id,
                video_digest=store.video_digests[rows[0]],
                source=hashlib.sha256(pixels.encode()).hexdigest(),
                num_rows=len(rows),
            )
        )
    return units
