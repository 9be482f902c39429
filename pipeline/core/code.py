"""What code does, as digests: an interrupted training and a stored value belong to the code that made them."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def code_digests(*rooms: str, root: Path = ROOT) -> dict[str, str]:
    """Digests of what the Python files of some rooms do.

    Comments, docstrings, spacing and the version of Python do not count, and files that hold nothing else are left out.

    Args:
        rooms: folders or files relative to the project, such as ``pipeline/models`` or ``stages/distill.py``; a plug-in
            that lies elsewhere has its whole path.
        root: the project.

    Returns:
        File, relative to the project and sorted → SHA-256 as 64 hexadecimal digits.
    """
    files = {
        file for room in rooms for file in ((root / room).rglob("*.py") if (root / room).is_dir() else [root / room])
    }
    found = {_name(file, root): _digest(file.read_text(encoding="utf-8")) for file in sorted(files)}
    return {name: digest for name, digest in found.items() if digest != _digest("")}


def _name(file: Path, root: Path) -> str:
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


@cache
def _digest(text: str) -> str:
    statements = [_plain(node) for node in _without_texts(ast.parse(text).body)]
    return hashlib.sha256(json.dumps(statements).encode()).hexdigest()


def _without_texts(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that are not a bare text: docstrings of whatever stands before them."""
    for node in body:
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node


def _plain(node: Any) -> Any:
    """A syntax tree as lists; absent fields are left out, so that one Python gives what another does."""
    if isinstance(node, ast.AST):
        fields = [(name, getattr(node, name, None)) for name in node._fields]
        present = [[name, _plain(value)] for name, value in fields if name != "kind" and value not in (None, [])]
        return [type(node).__name__, *present]
    if isinstance(node, list):
        statements = _without_texts(node) if node and isinstance(node[0], ast.stmt) else node
        return [_plain(one) for one in statements]
    return repr(node)
