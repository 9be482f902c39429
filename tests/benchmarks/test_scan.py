"""The benchmark of the scans runs, and refuses ways that disagree."""

import pytest

from benchmarks import scan
from pipeline.errors import PipelineError


def test_every_way_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    scan.main(["--sides", "tiny", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert "tiny" in lines[0]
    assert len(lines) == 2 + 6
    for line in lines[2:]:
        forward, both = line.split("|")[2].split("/")
        assert float(forward) >= 0.0 < float(both)


def test_a_way_that_gives_other_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "window_scan", lambda *values, grid=None: values[0])
    with pytest.raises(PipelineError, match=r"window_scan\) differs from the plain recurrence"):
        scan.measure(scan.TINY["tiny"], 1)
