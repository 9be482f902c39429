"""The stage ``render`` as DVC runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cache.store import open_store
from pipeline.core.manifest import write_videos
from tests.imports import ROOT
from tests.tables import row_of
from tests.videos import write_video


@pytest.fixture
def project(tmp_path: Path) -> Path:
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["render"]["max_failed"] = 1
    params["render"]["view_sets"] = {
        params[stage]["view_set"]: {"policy": "crop", "sampling": "uniform", "num_frames": 4, "size": 32}
        for stage in ("adapt", "extract", "distill")
    }
    (tmp_path / ".dvc").mkdir()
    YAML(typ="safe").dump(params, tmp_path / "params.yaml")
    (tmp_path / "data" / "videos").mkdir(parents=True)
    videos = []
    for name, num_frames in (("good", 8), ("short", 2)):
        path = write_video(tmp_path / "data" / "videos" / f"{name}.mp4", num_frames=num_frames)
        videos.append(row_of(path, tmp_path / "data"))
    write_videos(tmp_path / "data" / "videos.csv", videos)
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(project)}
    return subprocess.run(
        [sys.executable, "-m", "stages.render"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_stage_leaves_a_store_and_scalars(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    views = open_store(project / "data" / "clips.zarr")
    metrics = json.loads((project / "results" / "render" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == {"rows": len(views), "failed": len(views) // 2}
    assert "short failed" in done.stderr
    assert "render: 2/2" in done.stderr
    assert open_store(project / "data" / "clips.zarr").verify() == []


def test_too_many_failures_end_with_status_1_and_no_traceback(project: Path) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("max_failed: 1", "max_failed: 0"), encoding="utf-8")
    done = run(project)
    assert done.returncode == 1
    assert "its view needs 4" in done.stderr
    assert "Traceback" not in done.stderr
