"""An unchanged ``dvc repro`` against ``dvc status`` of the same pipeline."""

import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, Setting, at_most, in_turn

LIMIT = "dvc status, which looks at the same files and says whether anything would run"
_ROOT = Path(__file__).parents[2]
_PARTS = ("cache", "pipeline", "stages", "dvc.yaml", "params.yaml", "models/pretrained", "data/raw", ".dvcignore")
_SMALL = {
    r"embedded: \{.*\}": "embedded: {contents: 12, num_frames: 8, sizes: [[128, 112]], codecs: [h264]}",
    r"(?m)^  epochs: .*": "  epochs: 1",
    r"views_per_video: .*": "views_per_video: 1",
    r"bootstrap: .*": "bootstrap: 100",
}


def figures(setting: Setting) -> Iterator[Figure]:
    """Runs the whole pipeline once, small, in a project of its own, and then asks it again."""
    project = setting.folder / "project"
    _lay_out(project)
    _dvc(project, "init", "--no-scm", "--quiet")
    _dvc(project, "repro")
    again = _dvc(project, "repro")
    if "Running stage" in again:
        raise RuntimeError(f"an unchanged dvc repro ran something:\n{again}")
    turns = in_turn(lambda: _dvc(project, "repro"), lambda: _dvc(project, "status"), setting.rounds)
    yield Figure(
        what="dvc repro with nothing changed",
        against="dvc status",
        ratios=turns.time_ratios(),
        goal=at_most(1.5),
        detail={"ours_seconds": statistics.median(turns.ours), "limit_seconds": statistics.median(turns.limit)},
    )


def _lay_out(project: Path) -> None:
    """Copies what the pipeline reads, with settings that make it run in half a minute."""
    project.mkdir()
    for part in _PARTS:
        source, target = _ROOT / part, project / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    (project / "data/raw").mkdir(parents=True, exist_ok=True)
    text = (project / "params.yaml").read_text(encoding="utf-8")
    for pattern, value in _SMALL.items():
        text, found = re.subn(pattern, value, text)
        if not found:
            raise RuntimeError(f"params.yaml has nothing like {pattern}")
    (project / "params.yaml").write_text(text, encoding="utf-8")


def _dvc(project: Path, *arguments: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(project), "DVC_NO_ANALYTICS": "1"}
    environment.pop("DVC_ROOT", None)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dvc {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
