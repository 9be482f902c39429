"""``teachonce data``: the data set checked, and two versions compared."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.commands.data import app
from pipeline.core.manifest import ScoreScale, read_labels, read_videos, write_labels, write_scales, write_videos
from pipeline.preparation.differences import compare_versions, read_version
from pipeline.preparation.prepare import prepare
from pipeline.preparation.settings import PrepareSettings, Split
from tests.videos import write_video


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "data"
    (root / "raw/csv").mkdir(parents=True)
    rows = ["path,mos"]
    for number in range(4):
        write_video(root / f"raw/csv/{number}.mp4", num_frames=8 + number)
        rows.append(f"{number}.mp4,{number + 1}")
    (root / "raw/csv/labels.csv").write_text("\n".join(rows))
    settings = PrepareSettings(
        dataset="csv",
        options={"csv": {"low": 1.0, "high": 5.0}},
        seed=1,
        split=Split(val=0.2, test=0.2),
        labelled_fraction=1.0,
    )
    tables = prepare(settings, root, workers=1)
    write_videos(root / "videos.csv", tables.videos)
    write_labels(root / "labels.csv", tables.labels)
    write_scales(root / "dataset.json", tables.scales)
    return root


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def test_a_sound_data_set_passes(data: Path) -> None:
    done = run("check", "--data-root", data, "--workers", 1)
    assert done.exit_code == 0, done.output
    assert "4 videos, 0 problems" in done.output


def test_every_problem_is_told_and_fails_the_check(data: Path) -> None:
    (data / "raw/csv/0.mp4").unlink()
    shutil.copyfile(data / "raw/csv/2.mp4", data / "raw/csv/1.mp4")
    labels = read_labels(data / "labels.csv")
    write_labels(data / "labels.csv", [replace(label, mos=9.0) if label.video_id == "3" else label for label in labels])
    done = run("check", "--data-root", data, "--workers", 1, "--json")
    assert done.exit_code == 1
    problems = "\n".join(json.loads(done.stdout)["problems"])
    for part in ("0.mp4 is not a file", "1: raw/csv/1.mp4 is not the file of the table", "10 frames", "MOS is 9"):
        assert part in problems, problems


def test_nothing_changed(data: Path) -> None:
    done = run("diff", data, data)
    assert (done.exit_code, done.stdout) == (0, "no difference\n")


def test_each_kind_of_change_is_told(data: Path, tmp_path: Path) -> None:
    videos, labels = read_videos(data / "videos.csv"), read_labels(data / "labels.csv")
    new = tmp_path / "new"
    changed = [
        replace(videos[0], sha256="a" * 64),
        replace(videos[1], video_id="one"),
        replace(videos[2], path="raw/csv/moved.mp4"),
        replace(videos[3], video_id="9", sha256="b" * 64),
    ]
    write_videos(new / "videos.csv", changed)
    about = [
        replace(labels[0], mos=4.5, codec="hevc"),
        replace(labels[1], video_id="one"),
        replace(labels[2], split="val" if labels[2].split != "val" else "test", labelled=False),
        replace(labels[3], video_id="9"),
    ]
    write_labels(new / "labels.csv", about)
    write_scales(new / "dataset.json", {"csv": ScoreScale(score_name="MOS", low=0.0, high=5.0)})
    done = run("diff", data, new, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["added"], told["removed"], told["replaced"], told["scales"]) == (["9"], ["3"], ["0"], ["csv"])
    assert told["renamed"] == [{"video_id": "one", "old": "1", "new": "one"}]
    assert told["moved"][0]["new"] == "raw/csv/moved.mp4"
    assert told["relabelled"] == [{"video_id": "0", "old": 1.0, "new": 4.5}]
    assert [change["video_id"] for change in told["split"]] == ["2"]
    assert told["labelled"] == [{"video_id": "2", "old": True, "new": False}]
    assert told["described"] == [{"video_id": "0", "old": "", "new": "hevc"}]
    assert told["to_compute"] == 2
    text = run("diff", data, new).stdout
    assert "1 relabelled:\n  0: 1.0 → 4.5" in text
    assert "render and extract compute 2 videos" in text
    assert "a teacher that adapt tunes is tuned anew" in text
    assert not compare_versions(read_version(new), read_version(new))


def test_wrong_use_and_unknown_versions(data: Path, tmp_path: Path) -> None:
    assert run("diff", tmp_path).exit_code == 2
    code = "import sys; from pipeline.commands.cli import main; sys.argv = ['teachonce', 'data', 'diff', 'v9']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot have data/videos.csv at 'v9'" in done.stderr
    (data / "labels.csv").write_text("video_id\n")
    broken = run("diff", data, data)
    assert (broken.exit_code, broken.stdout) == (2, "")
    assert "got the header" in broken.stderr
    assert "Traceback" not in done.stderr
