"""Commands that are pointed at a folder full of bad videos: all is told, the good ones are done, nothing hangs."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.commands.cli import _application
from pipeline.commands.shared.names import written
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import ManifestError, read_labels, read_videos, write_labels, write_videos
from pipeline.preparation.prepare import Tables, prepare
from pipeline.preparation.settings import PrepareSettings
from pipeline.video.suffixes import VIDEO_SUFFIXES, is_video
from tests.faults.conftest import Corpus
from tests.faults.corpus import KINDS, NO_FILES, SHORT
from tests.scoring_models import save_student

SECONDS = 60.0
"""For a whole folder; on an idle core it is 2."""
UNNAMEABLE = {"name_not_utf8", "name_with_a_newline"}
PREPARE = {
    "dataset": "folder",
    "options": {},
    "seed": 1,
    "split": {"val": 0.2, "test": 0.2},
    "labelled_fraction": 1.0,
}


@pytest.fixture
def folder(corpus: Corpus, tmp_path: Path) -> Path:
    """A copy of the corpus, links as links, to take files away from."""
    shutil.copytree(
        corpus.root / "data/raw/folder",
        tmp_path / "data/raw/folder",
        symlinks=True,
        ignore=shutil.ignore_patterns("fifo*", "socket*"),
    )
    shutil.copy(corpus.root / "outside.mp4", tmp_path)
    return tmp_path / "data/raw/folder"


def prepared(folder: Path) -> Tables:
    start = time.monotonic()
    try:
        return prepare(PrepareSettings.parse(PREPARE, "prepare"), folder.parents[1], workers=1)
    finally:
        assert time.monotonic() - start < SECONDS


def remove(folder: Path, corpus: Corpus, kinds: set[str]) -> None:
    for kind in kinds:
        path = folder / corpus.paths[kind].name
        if path.is_symlink() or path.is_file():
            path.unlink()


def named(kinds: set[str], corpus: Corpus) -> set[str]:
    """Those that are videos by their names."""
    return {kind for kind in kinds if corpus.paths[kind].suffix in VIDEO_SUFFIXES}


def test_prepare_names_all_that_is_no_file(corpus: Corpus) -> None:
    with pytest.raises(PipelineError) as error:
        prepared(corpus.root / "data/raw/folder")
    told = str(error.value)
    for kind in NO_FILES.keys() - {"folder.mp4", "missing.mp4"}:
        assert re.search(f"^{kind}: .*(is no file|leaves the data root)", told, re.MULTILINE), told
    assert told.count("cannot stand in a table; rename the file") == len(UNNAMEABLE)


def test_prepare_names_all_that_is_no_video_and_takes_the_rest(
    corpus: Corpus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.preparation.prepare._MAX_PROBLEMS_SHOWN", 1000)
    remove(folder, corpus, set(NO_FILES) | UNNAMEABLE)
    with pytest.raises(ManifestError) as error:
        prepared(folder)
    told = {line.split(": ")[0] for line in str(error.value).splitlines()[1:]}
    # What is wrong between its ends is found by render, and two frames are enough for a table.
    between = {"first_key_frame_missing.mkv", "64k_in_the_container.mp4", "noise_in_the_middle.mp4", *SHORT}
    between.add("no_time_scale.mp4")
    wrong = {kind for kind, how in KINDS.items() if how.frames is None} - NO_FILES.keys() - UNNAMEABLE
    assert named(wrong - between, corpus) <= told <= wrong
    remove(folder, corpus, wrong)
    tables = prepared(folder)
    right = named({kind for kind, how in KINDS.items() if how.frames is not None}, corpus) - UNNAMEABLE
    assert {video.video_id for video in tables.videos} == {corpus.paths[kind].name for kind in right}
    write_videos(folder / "videos.csv", tables.videos)
    write_labels(folder / "labels.csv", tables.labels)
    assert read_videos(folder / "videos.csv") == tables.videos
    assert read_labels(folder / "labels.csv") == tables.labels


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "table"])
def test_score_tells_of_each_video_its_score_or_the_reason(corpus: Corpus, tmp_path: Path, form: str) -> None:
    model, output = save_student(tmp_path / "model"), tmp_path / "scores"
    words = ["score", str(corpus.root / "data/raw/folder"), "--model", str(model), "--format", form, "-o", str(output)]
    start = time.monotonic()
    done = CliRunner().invoke(_application(["score"]), words)
    assert time.monotonic() - start < SECONDS
    assert done.exit_code == 1, (done.output, done.exception)
    text = output.read_text(encoding="utf-8")
    assert "took longer" not in text
    assert "died of signal" not in text
    if form != "jsonl":
        return
    rows = {Path(row["path"]).name: row for row in map(json.loads, text.splitlines())}
    asked = {kind: corpus.paths[kind].name for kind in KINDS if is_video(corpus.paths[kind].name)}
    for kind, name in asked.items():
        if kind in ("folder.mp4", "missing.mp4"):
            continue
        row = rows.pop(written(Path(name)))
        outside = kind == "link_out_of_the_root.mp4"  # a path that is given outright may lead anywhere
        scored = (KINDS[kind].frames is not None or outside) and kind not in UNDECIDED
        assert kind in UNDECIDED or row["status"] == ("ok" if scored else "failed"), row
        assert (row["score"] is None) == bool(row["error"])
    assert rows == {}


UNDECIDED = {"two_frames.mp4", "one_pixel.mkv", "one_row.mkv", "first_key_frame_missing.mkv"}
"""Too little for the clips of this very student, or just enough."""
