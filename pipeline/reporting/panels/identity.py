"""What a run was: code revision, digests of what was cached, the teacher's fingerprint, versions."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from cache.store import Store
from pipeline.reporting.run import Run

_PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "scikit-learn",
    "zarr",
    "h5py",
    "dask",
    "av",
    "decord",
    "dvc",
    "matplotlib",
)
_STUDENT_KEYS = ("student", "options", "target_dim", "clip_shape", "provenance")
_CODE = ("pipeline", "stages", "cache", "params.yaml", "dvc.yaml")
_GIT_TIMEOUT_SECONDS = 20.0


def git_revision(root: Path) -> str | None:
    """The commit that is checked out, with a remark when code or settings differ from it; None outside git."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return f"{commit} with uncommitted changes to code or settings" if changed else commit


def versions() -> dict[str, str]:
    """Package → version, of those that are installed where the report is made, after Python's own."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digests(run: Run) -> dict[str, str]:
    """What → its digest: the stores that are there, and the student's weights."""
    stores: dict[str, Store | None] = {"data/clips.zarr": run.clips, "data/targets.zarr": run.targets}
    found = {name: str(store.digest()) for name, store in stores.items() if store is not None}
    if run.student_weights is not None:
        with run.student_weights.open("rb") as file:
            found["models/student/model.safetensors"] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def teacher_fingerprint(run: Run) -> dict[str, str]:
    """The fingerprint of the cached embedding (else of the first array), one line per value; empty without targets."""
    if run.targets is None or not run.targets.fingerprint:
        return {}
    fingerprints = run.targets.fingerprint
    return flattened(fingerprints.get("embedding") or next(iter(fingerprints.values())))


def student_settings(run: Run) -> dict[str, str]:
    """How the student was built and trained, one line per value; its teacher only where that is not the cached one."""
    lines = flattened({key: run.student[key] for key in _STUDENT_KEYS if key in run.student})
    cached = {f"provenance.teacher.{name}": value for name, value in teacher_fingerprint(run).items()}
    if not cached or not cached.items() <= lines.items():
        return lines
    return {name: value for name, value in lines.items() if name not in cached} | {
        "provenance.teacher": "the one with the fingerprint shown here"
    }


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted names, in sorted order; lists are joined by commas."""
    lines: dict[str, str] = {}
    for key, value in sorted(values.items()):
        if isinstance(value, Mapping):
            lines |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            lines[f"{prefix}{key}"] = ", ".join(map(str, value))
        else:
            lines[f"{prefix}{key}"] = str(value)
    return lines


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
