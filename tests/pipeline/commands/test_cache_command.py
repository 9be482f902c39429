"""``teachonce cache recheck``: the live teacher against the store, exit status 0 or 1."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from cache.build import build_store
from cache.store import Failed, Job, Rows, open_store
from pipeline.commands.cache import app
from pipeline.core.manifest import CLIP_DIGEST
from pipeline.teachers.extraction.extract import extract
from tests.pipeline.teachers.extraction.test_extract import RUNTIME, plan_of, project

__all__ = ["project"]


def recheck(project: Path, store: Path, *more: str) -> Result:
    where = ["--clips", str(project / "clips.zarr"), "--teacher", str(project / "teacher"), "--device", "cpu"]
    return CliRunner().invoke(app, ["recheck", str(store), *where, *more])


def test_recheck_agrees_with_an_honest_store_and_names_a_wrong_row(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    done = recheck(project, project / "targets.zarr", "--sample", "2", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["array"] for one in told] == ["embedding", "embedding_normed", "logits"]
    assert all(one["good"] and one["rows"] == 4 for one in told)

    honest = open_store(project / "targets.zarr")

    def lie(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
        for job in jobs:
            rows = honest.rows_of(job.unit.video_id)
            arrays = {name: honest.read(name, rows).copy() for name in job.arrays}
            if job.unit.video_id == "v003":
                arrays["logits"] += 1.0
            yield job, Rows(arrays, {CLIP_DIGEST: [honest.column(CLIP_DIGEST)[row] for row in rows]})

    build_store(
        project / "lies.zarr",
        kind="targets",
        specs=list(honest.root.layout.specs),
        units=honest.units(),
        columns=[CLIP_DIGEST],
        compute=lie,
        pool=None,
    )
    done = recheck(project, project / "lies.zarr", "--sample", "99")
    assert done.exit_code == 1
    assert "logits: 10 rows, DIFFERS, most in v003" in done.stdout
