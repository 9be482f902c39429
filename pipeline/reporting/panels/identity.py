"""Panel: what this run was: code, data, models, settings and versions, for whoever makes it again."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from markupsafe import Markup

from pipeline.core.files import file_digest
from pipeline.reporting.panels.shared.markup import joined, pairs
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings

TITLE = "This run"
ORDER = 100
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "zarr", "av", "dvc", "matplotlib")
_STUDENT_KEYS = ("options", "target_dim", "clip_shape")


def section(run: Run, settings: ReportSettings) -> Section:
    """Digests to compare with another run's; settings and versions are folded."""
    details = Markup("<details><summary>{}</summary>\n{}\n</details>")
    folded = {
        "Settings of the student": student_settings(run),
        "Fingerprint of the teacher": flattened(run.teacher),
        "Versions where this report was made": versions(),
    }
    body = [pairs(digests(run)), *(details.format(title, pairs(values)) for title, values in folded.items() if values)]
    return Section(_sentence(run), joined(body))


def _sentence(run: Run) -> str:
    architecture = run.teacher.get("preprocessing", {}).get("family") or "a teacher that is not here"
    student = run.student.get("student", "unknown")
    code = f"commit {run.revision[:12]}{run.revision[40:]}" if run.revision else "code of an unknown commit"
    return f"A student of the kind {student}, taught by {architecture}, made by {code}."


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
    """What → its SHA-256 or digest: data set, stores, models; only what is there."""
    found = {
        "code": run.revision,
        "data set": run.dataset_digest,
        "clips": run.clips.digest() if run.clips is not None else None,
        "targets": run.targets.digest() if run.targets is not None else None,
        "teacher": run.teacher.get("weights_sha256"),
        "student": file_digest(run.student_weights) if run.student_weights is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def student_settings(run: Run) -> dict[str, str]:
    """How the student was built and trained, one line per value."""
    record = run.student.get("provenance") or {}
    built = {key: run.student[key] for key in _STUDENT_KEYS if key in run.student}
    return flattened({**built, "distill": record.get("distill") or {}})


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
