import json
import shutil

import pytest

from stages import report, run_stage
from tests.imports import ROOT


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that has been evaluated, and nothing else."""
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "results" / "evaluate").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_the_page(project):
    scores = {"student": {"srcc": 0.5, "srcc_low": 0.4, "srcc_high": 0.6}}
    (project / "results" / "evaluate" / "metrics.json").write_text(json.dumps(scores))
    rows = "".join(f"v{index},{index},{index},{index}\n" for index in range(9))
    (project / "results" / "evaluate" / "predictions.csv").write_text("video_id,mos,teacher,student\n" + rows)
    report.main()
    assert "0.50" in (project / "results" / "report" / "index.html").read_text(encoding="utf-8")


def test_before_evaluate_it_says_what_to_run(project, capsys):
    with pytest.raises(SystemExit) as ended:
        run_stage(report.main)
    assert ended.value.code == 1
    assert "run the stage evaluate first" in capsys.readouterr().err
    assert not (project / "results" / "report" / "index.html").exists()
