"""Recheck finds a target that the teacher never gave, and refuses another teacher or other pixels."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cache.build import Pool
from pipeline.teachers.extraction.extract import extract
from pipeline.teachers.extraction.recheck import RecheckError, recheck
from tests.pipeline.teachers.extraction.test_extract import RUNTIME, plan_of, project, write_teacher
from tests.stores import names, write_clips

__all__ = ["project"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_an_honest_store_agrees(project: Path, dtype: str) -> None:
    extract(plan_of(project, dtype=dtype), project / "targets.zarr", RUNTIME)
    results = recheck(project / "targets.zarr", clips=project / "clips.zarr", teacher=project / "teacher", sample=3)
    assert [result.array for result in results] == ["embedding", "embedding_normed", "logits"]
    assert all(result.good and result.rows == 6 for result in results)


def test_a_wrong_row_is_found_and_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.teachers.extraction import extract as extraction

    honest = extraction.Extractor.stream

    def lying(
        self: extraction.Extractor, jobs: Sequence[extraction.Job]
    ) -> Iterator[extraction.Rows | extraction.Failed]:
        for job, rows in zip(jobs, honest(self, jobs), strict=True):
            if isinstance(rows, extraction.Rows) and job.unit.video_id == "v002":
                rows.arrays["embedding"] = rows.arrays["embedding"] * 1.01
            yield rows

    monkeypatch.setattr(extraction.Extractor, "stream", lying)
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    monkeypatch.undo()
    results = recheck(project / "targets.zarr", clips=project / "clips.zarr", teacher=project / "teacher", sample=99)
    assert {result.array: result.good for result in results} == {
        "embedding": False,
        "embedding_normed": True,
        "logits": True,
    }
    assert results[0].worst_video == "v002"


def test_another_teacher_or_other_clips_are_refused(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    write_teacher(project / "other", seed=5)
    with pytest.raises(RecheckError, match="name the teacher that made it"):
        recheck(project / "targets.zarr", clips=project / "clips.zarr", teacher=project / "other", sample=1)
    write_clips(project / "wide.zarr", names(5), views=3)
    with pytest.raises(RecheckError, match="other pixels"):
        recheck(project / "targets.zarr", clips=project / "wide.zarr", teacher=project / "teacher", sample=1)
    assert Pool.locate().root.exists()
