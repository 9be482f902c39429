"""Which of the project's files a module imports, directly or through others, found without running anything."""

import ast
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmarks", "stages", "pipeline", "cache")


def closure(path: Path, *, stop: Collection[str] = ()) -> set[str]:
    """The project's files that importing ``path`` may load, lazy imports included.

    Args:
        path: a module, relative to the project.
        stop: files whose own imports are not followed.

    Returns:
        Paths relative to the project, ``path`` among them.
    """
    found: set[str] = set()
    waiting = [ROOT / path]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(ROOT).as_posix()
        if name in found:
            continue
        found.add(name)
        for module in () if name in stop else _imported(file):
            waiting.extend(_files_of(module))
    return {name for name in found if (ROOT / name).stat().st_size}


def has_code(place: Path) -> bool:
    """Whether a file, or one in a folder, holds more than a docstring."""
    if place.is_dir():
        return any(has_code(file) for file in place.rglob("*.py"))
    body = ast.parse(place.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def _imported(file: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {module for module in modules if module.split(".")[0] in ROOMS}


def _files_of(module: str) -> list[Path]:
    """The file of a module and the packages that contain it; nothing for a name inside a module."""
    parts = module.split(".")
    files = [ROOT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    files.append(ROOT.joinpath(*parts[:-1], f"{parts[-1]}.py"))
    return [file for file in files if file.is_file()]
