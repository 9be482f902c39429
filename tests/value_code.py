"""Which code shapes stored values, which ``VERSION`` answers for it, and what both were when the table was written.

``python -m tests.value_code`` writes the table ``tests/value_code.json`` anew. It refuses while code has changed and
its ``VERSION`` has not; ``--same-values`` is for a change that leaves every value as it was, such as another name.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.imports import ROOT, closure

TABLE = Path("tests/value_code.json")
COMMAND = "python -m tests.value_code"
ENTRIES = ("pipeline/rendering/render.py", "pipeline/teachers/extraction/extract.py")
"""What the two stages that write stores run; all that they import is looked at, but for the cache."""

OWNERS: dict[str, tuple[str, ...]] = {
    "pipeline/rendering/views.py": (
        "pipeline/rendering/views.py",
        "pipeline/rendering/draws.py",
        "pipeline/rendering/sampling.py",
    ),
    "pipeline/video/resampling.py": ("pipeline/video/resampling.py",),
    "pipeline/video/colour.py": ("pipeline/video/colour.py", "pipeline/video/pictures.py"),
    "pipeline/rendering/clips.py": (
        "pipeline/rendering/clips.py",
        "pipeline/video/decoder.py",
        "pipeline/video/decoders/shared/complaints.py",
        "pipeline/video/decoders/shared/counting.py",
        "pipeline/video/decoders/shared/h264.py",
        "pipeline/video/decoders/auto.py",
        "pipeline/video/decoders/decord.py",
        "pipeline/video/decoders/pyav.py",
        "pipeline/video/decoders/yuv.py",
    ),
    "pipeline/teachers/extraction/targets.py": (
        "pipeline/teachers/extraction/targets.py",
        "pipeline/teachers/extraction/extract.py",
        "pipeline/teachers/shared/preprocessing.py",
        "pipeline/models/internvideo2/blocks.py",
        "pipeline/models/internvideo2/config.py",
        "pipeline/models/internvideo2/inference.py",
        "pipeline/models/internvideo2/model.py",
        "pipeline/models/internvideo2/pooling.py",
        "pipeline/models/internvideo2/positions.py",
        "cache/store/precision.py",
    ),
}
"""Module with a ``VERSION`` → the modules it answers for."""

EXEMPT: dict[str, str] = {
    "pipeline/rendering/render.py": "resolves settings; what they come to is in the fingerprint",
    "pipeline/teachers/adaptation/adapt.py": "makes the teacher's weights, whose digest is in the fingerprint",
    "pipeline/teachers/adaptation/fine_tuning.py": "makes the teacher's weights, see adaptation",
    "pipeline/models/bases.py": "classes to inherit from, that compute nothing",
    "pipeline/models/stem.py": "initial weights, see adaptation",
    "pipeline/models/internvideo2/__init__.py": "names what the others hold",
    "pipeline/models/internvideo2/refitting.py": "reads checkpoints into weights, see adaptation",
    "pipeline/models/internvideo2/loading.py": "reads checkpoints into weights, see adaptation",
    "pipeline/models/internvideo2/reading.py": "reads checkpoints into weights, see adaptation",
    "pipeline/models/internvideo2/recognition.py": "the architecture it recognises is in the fingerprint",
    "pipeline/models/internvideo2/flops.py": "counts operations",
    "pipeline/models/staging.py": "moves bytes, and changes none",
    "pipeline/models/optimisation.py": "of it extract uses the name of a device",
    "pipeline/evaluation/metrics/shared/table.py": "figures of adapt",
    "pipeline/core/manifest.py": "tables; a video's bytes are its identity",
    "stages/params.py": "settings; what shapes a value is in the fingerprint",
    "pipeline/workers/local.py": "who computes; any number gives the same bytes",
    "pipeline/core/errors.py": "messages",
    "pipeline/core/progress.py": "progress bar",
    "pipeline/core/files.py": "figures of the stage",
    "pipeline/core/registry.py": "finds modules by name",
}
"""Modules that shape no value, or whose effect the fingerprint holds, with the reason."""


def reachable() -> set[str]:
    """Modules of ``pipeline`` that writing a store may load, packages without code left out."""
    found = set().union(*(closure(Path(entry)) for entry in ENTRIES))
    return {name for name in found if name.startswith("pipeline/") and _shape(ROOT / name)}


def code_digest(path: Path) -> str:
    """SHA-256 of what a module does: comments, docstrings, spacing and the version of Python do not count."""
    return hashlib.sha256(json.dumps(_shape(path)).encode()).hexdigest()


def _shape(path: Path) -> list[Any]:
    return [_plain(node) for node in _without_texts(ast.parse(path.read_text(encoding="utf-8")).body)]


def _without_texts(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that are not a bare text: docstrings of whatever stands before them."""
    for node in body:
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node


def _plain(node: Any) -> Any:
    """A syntax tree as lists; absent fields are left out, so that one Python gives what another does."""
    if isinstance(node, ast.AST):
        fields = [(name, getattr(node, name, None)) for name in node._fields]
        told = [[name, _plain(value)] for name, value in fields if name != "kind" and value not in (None, [])]
        return [type(node).__name__, *told]
    if isinstance(node, list):
        statements = _without_texts(node) if node and isinstance(node[0], ast.stmt) else node
        return [_plain(one) for one in statements]
    return repr(node)


def version_of(path: Path) -> int:
    """The number that a module's ``VERSION`` is set to."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["VERSION"]:
            return int(ast.literal_eval(node.value))
    raise LookupError(f"{path}: expected VERSION = <number> at the top level")


def current(root: Path = ROOT) -> dict[str, Any]:
    """The table as it would be written now."""
    return {
        owner: {"version": version_of(root / owner), "code": {name: code_digest(root / name) for name in sorted(names)}}
        for owner, names in OWNERS.items()
    }


def written(root: Path = ROOT) -> dict[str, Any]:
    """The table as it was last written."""
    table: dict[str, Any] = json.loads((root / TABLE).read_text(encoding="utf-8"))
    return table


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What to do about code that is not as in the table; empty when all is."""
    said = []
    for owner, told in now.items():
        old = before.get(owner, {"version": None, "code": {}})
        changed = sorted(
            name for name in told["code"].keys() | old["code"].keys() if told["code"].get(name) != old["code"].get(name)
        )
        if changed and told["version"] == old["version"]:
            said.append(
                f"{', '.join(changed)} changed, and shapes stored values: raise VERSION in {owner}, then run "
                f"`{COMMAND}`; where every value stays as it was, run `{COMMAND} --same-values` instead"
            )
        elif changed or told["version"] != old["version"]:
            said.append(f"{owner} has VERSION {told['version']}, the table {old['version']}: run `{COMMAND}`")
    return said


def main(arguments: list[str]) -> int:
    """Writes the table, unless code changed without its ``VERSION``."""
    now = current()
    unraised = [line for line in changes(written() if (ROOT / TABLE).exists() else {}, now) if "raise VERSION" in line]
    if unraised and arguments != ["--same-values"]:
        print("\n".join(unraised), file=sys.stderr)
        return 1
    (ROOT / TABLE).write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
