"""Which rooms shape stored values, which ``VERSION`` answers for them, and what both were when the table was written.

``python -m tests.value_code`` writes the table ``tests/value_code.json`` anew. It refuses while code has changed and
no ``VERSION`` of its rooms has; ``--same-values`` is for a change that leaves every value as it was, such as a name.
"""

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.code import code_digests
from tests.imports import ROOT, closure, has_code

TABLE = Path("tests/value_code.json")
COMMAND = "python -m tests.value_code"
ENTRIES = ("pipeline/rendering/render.py", "pipeline/teachers/extraction/extract.py")
"""What the two stages that write stores run; all that they import is looked at, but for the cache."""

OWNERS: dict[str, tuple[str, ...]] = {
    "clips": ("pipeline/video", "pipeline/rendering"),
    "targets": (
        "pipeline/models/internvideo2",
        "pipeline/models/pixels.py",
        "pipeline/teachers/shared",
        "pipeline/teachers/extraction",
        "cache/store/precision.py",
    ),
}
"""Kind of store → the rooms that shape its values; each ``VERSION`` in them is part of the store's fingerprint."""

EXEMPT: dict[str, str] = {
    "pipeline/core": "tables, files, messages; what shapes a value is in the fingerprint",
    "pipeline/workers": "who computes; any number gives the same bytes",
    "pipeline/models/bases.py": "classes to inherit from, that compute nothing",
    "pipeline/models/device.py": "the device's name, and kernels that repeat",
    "pipeline/models/staging.py": "moves bytes, and changes none",
}
"""Rooms that shape no value, or whose effect the fingerprint holds, with the reason."""


def reachable() -> set[str]:
    """Modules of ``pipeline`` that writing a store may load, packages without code left out."""
    found = set().union(*(closure(Path(entry)) for entry in ENTRIES))
    return {name for name in found if name.startswith("pipeline/") and has_code(ROOT / name)}


def versions(rooms: tuple[str, ...], root: Path = ROOT) -> dict[str, int]:
    """File → the number that its ``VERSION`` is set to, of the files of some rooms that have one."""
    found = {}
    for name in code_digests(*rooms, root=root):
        for node in ast.parse((root / name).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["VERSION"]:
                found[name] = int(ast.literal_eval(node.value))
    return found


def current(root: Path = ROOT) -> dict[str, Any]:
    """The table as it would be written now."""
    return {
        kind: {"versions": versions(rooms, root), "code": code_digests(*rooms, root=root)}
        for kind, rooms in OWNERS.items()
    }


def written(root: Path = ROOT) -> dict[str, Any]:
    """The table as it was last written."""
    table: dict[str, Any] = json.loads((root / TABLE).read_text(encoding="utf-8"))
    return table


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What to do about code that is not as in the table; empty when all is."""
    found = []
    for kind, new in now.items():
        old = before.get(kind, {"versions": {}, "code": {}})
        files = sorted(
            name for name in new["code"].keys() | old["code"].keys() if new["code"].get(name) != old["code"].get(name)
        )
        if files and new["versions"] == old["versions"]:
            found.append(
                f"{', '.join(files)} changed, and shape the values of {kind}: raise VERSION in one of "
                f"{', '.join(sorted(new['versions']))}, then run `{COMMAND}`; where every value stays as it was, run "
                f"`{COMMAND} --same-values` instead"
            )
        elif files:
            found.append(f"a VERSION of {kind} is not that of the table: run `{COMMAND}`")
    return found


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
