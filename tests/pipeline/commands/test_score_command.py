"""``teachonce score`` as people and scripts call it."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.commands.cli import _application
from pipeline.commands.shared.curve import CurveError
from tests.imports import ROOT
from tests.scoring_models import save_student
from tests.videos import write_raw, write_video

ODD = ("a$_{$.mp4", "two\nlines\u2028.mp4", "日本語😀.mp4", f"{'x' * 250}.mp4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, two good videos, one in a folder below, one that is none, and a file that is no video by name."""
    root = tmp_path_factory.mktemp("commands")
    save_student(root / "model")
    save_student(root / "other", seed=1)
    (root / "videos/below").mkdir(parents=True)
    write_video(root / "videos/a.mp4", num_frames=60, texture=True)
    write_video(root / "videos/below/b.mkv", num_frames=30, texture=True)
    (root / "videos/broken.mp4").write_bytes(b"no video")
    (root / "videos/notes.txt").write_text("no video either")
    return root


def score(folder: Path, *arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    if "--model" not in words:
        words += ["--model", str(folder / "model")]
    return CliRunner().invoke(_application(["score"]), ["score", *words])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_names_every_video_of_a_folder_and_the_exit_status_tells(folder):
    result = score(folder, folder / "videos")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split()[0].removeprefix(f"{folder}/videos/") for line in lines[1:4]] == [
        "a.mp4",
        "below/b.mkv",
        "broken.mp4",
    ]
    assert "not a readable video" in lines[3]
    assert lines[-1] == "MOS of x, 0 (worst) to 100 (best); interval of 95 %"
    assert "1 of 3 videos could not be scored" in result.stderr
    assert score(folder, folder / "videos/a.mp4").exit_code == 0


def test_every_form_says_the_same(folder):
    videos = [folder / "videos/a.mp4", folder / "videos/broken.mp4"]
    document = json.loads(score(folder, *videos, "--json").stdout)
    lines = [json.loads(line) for line in score(folder, *videos, "--format", "jsonl").stdout.splitlines()]
    table = rows(score(folder, *videos, "--format", "csv").stdout)
    assert document == lines
    assert [row["status"] for row in table] == ["ok", "failed"]
    for key in ("score", "low", "high", "mean", "harmonic_mean", "percentile_5", "seconds"):
        assert float(table[0][key]) == pytest.approx(document[0][key], abs=1e-4)
    assert table[1]["score"] == ""
    assert document[1]["score"] is None
    assert document[1]["error"] == table[1]["error"]
    assert len(document[0]["curve"]) == 2
    assert len(document[0]["view_scores"]) == 3


def test_a_list_and_files_together_are_scored_once_each(folder, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\n{folder}/videos/a.mp4\n\n{folder}/videos/below\n")
    found = rows(score(folder, folder / "videos/a.mp4", "--list", listed, "--format", "csv").stdout)
    assert [Path(row["path"]).name for row in found] == ["a.mp4", "b.mkv"]


def test_segments_have_rows_of_their_own(folder):
    result = score(folder, folder / "videos/a.mp4", "--per-segment", "--segment-seconds", 1, "--format", "csv")
    found = rows(result.stdout)
    assert [(row["start_seconds"], row["stop_seconds"]) for row in found] == [
        ("0.0000", "1.2000"),
        ("1.2000", "2.4000"),
    ]
    whole = json.loads(score(folder, folder / "videos/a.mp4", "--segment-seconds", 1, "--json").stdout)
    assert [float(row["score"]) for row in found] == pytest.approx(
        [part["score"] for part in whole[0]["segments"]], abs=1e-4
    )
    table = score(folder, folder / "videos/a.mp4", "--per-segment", "--segment-seconds", 1).stdout.splitlines()
    assert table[0].split() == ["VIDEO", "FROM", "TO", "SCORE", "INTERVAL"]
    assert len(table) == 5


def test_a_curve_is_written_as_csv_and_png(folder, tmp_path):
    video = folder / "videos/a.mp4"
    document = json.loads(score(folder, video, "--curve", tmp_path / "curves", "--json").stdout)[0]
    stem = tmp_path / f"curves/a-{document['sha256'][:8]}"
    found = rows(stem.with_suffix(".csv").read_text())
    assert [float(row["score"]) for row in found] == pytest.approx(
        [point["score"] for point in document["curve"]], abs=1e-4
    )
    assert [row["start_seconds"] for row in found] == ["0.000000", "1.200000"]
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_run_that_was_killed_goes_on(folder, tmp_path, form):
    arguments = (folder / "videos", "--format", form, "--resume", "--output")
    whole, output = tmp_path / "whole", tmp_path / "output"
    assert score(folder, *arguments, whole).exit_code == 1
    complete = whole.read_text()
    kept = 2 if form == "csv" else 1
    lines = complete.splitlines(keepends=True)
    output.write_text("".join(lines[:kept]) + lines[kept][:40])
    before = output.read_text()
    assert score(folder, *arguments, output).exit_code == 1
    assert output.read_text() == complete
    assert output.read_text().startswith(before[: len("".join(lines[:kept]))])
    again = score(folder, *arguments, output)
    assert output.read_text() == complete
    assert "1 of 3" in again.stderr


def test_a_file_that_changed_is_scored_again_when_going_on(folder, tmp_path):
    video, output = tmp_path / "v.mp4", tmp_path / "o.csv"
    write_video(video, num_frames=30, texture=True)
    score(folder, video, "--format", "csv", "--resume", "-o", output)
    write_video(video, num_frames=40, texture=True)
    score(folder, video, "--format", "csv", "--resume", "-o", output)
    assert [row["num_frames"] for row in rows(output.read_text())] == ["30", "40"]


def test_another_model_or_a_strange_file_is_not_gone_on_with(folder, tmp_path):
    arguments = (folder / "videos/a.mp4", "--format", "csv", "--resume", "-o", tmp_path / "o.csv")
    score(folder, *arguments)
    refused = score(folder, *arguments, "--model", folder / "other")
    assert "made with model" in str(refused.exception)
    refused = score(folder, *arguments, "--segment-seconds", 2)
    assert "made with segment_seconds 10, not 2" in str(refused.exception)
    header, row = (tmp_path / "o.csv").read_text().splitlines()[:2]
    (tmp_path / "o.csv").write_text(f"{header}\n{row},more\n")
    assert "row 2: got " in str(score(folder, *arguments).exception)
    (tmp_path / "o.csv").write_text("a,b\n1,2\n")
    assert "does not begin with the columns" in str(score(folder, *arguments).exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "expected table"),
        (["--size", "big"], "1920x1080"),
        (["--pix-fmt", "rgb24"], "yuv420p10le"),
        (["--resume"], "needs --output"),
        (["--list", "/no/such/list"], "cannot read"),
        ([], "there is no video"),
        (["--views", "0"], "--views"),
        (["--window-seconds", "inf"], "--window-seconds"),
        (["--segment-seconds", "nan"], "--segment-seconds"),
    ],
)
def test_wrong_use_ends_with_status_two(folder, arguments, message):
    result = score(folder, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_raw_video_is_told_by_options(folder, tmp_path):
    video = write_raw(tmp_path / "plain.yuv", num_frames=30)
    assert score(folder, video).exit_code == 1
    result = score(folder, video, "--size", "96x64", "--pix-fmt", "yuv420p", "--fps", 30, "--json")
    assert (result.exit_code, json.loads(result.stdout)[0]["fps"]) == (0, 30.0)


def test_help_imports_neither_torch_nor_a_decoder_and_a_missing_model_is_one_line(tmp_path):
    code = (
        "import sys; from pipeline.commands.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    print('status', ended.code)\n"
        "print(sorted({'torch', 'av', 'decord', 'zarr', 'scipy', 'transformers', 'onnxruntime'} & sys.modules.keys()))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)

    for arguments in (["--help"], ["score", "--help"], ["export", "--help"]):
        shown = run(*arguments).stdout
        assert shown.splitlines()[-2:] == ["status 0", "[]"]
        assert "score" in shown
    wrong = run("score", "x.mp4", "--model", "nowhere")
    assert "status 1" in wrong.stdout
    assert "cannot load a student from nowhere" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_odd_names_are_scored_drawn_and_resumed(folder, tmp_path):
    videos, output, curves = tmp_path / "videos", tmp_path / "a.csv", tmp_path / "curves"
    videos.mkdir()
    for name in ODD:
        shutil.copy(folder / "videos/below/b.mkv", videos / name)
    arguments = (videos, "--format", "csv", "--output", output, "--resume", "--curve", curves)
    first = score(folder, *arguments)
    assert first.exit_code == 0, first.output
    table = output.read_text(encoding="utf-8")
    assert [row["path"] for row in rows(table)] == [
        str(videos / name).replace("\n", "\\n").replace("\u2028", "\\u2028") for name in sorted(ODD)
    ]
    assert len(list(curves.glob("*.png"))) == len(list(curves.glob("*.csv"))) == len(ODD)
    assert score(folder, *arguments).exit_code == 0
    assert output.read_text(encoding="utf-8") == table, "each row once"


def test_a_file_where_curves_shall_go_is_told_before_anything_is_scored(folder, tmp_path):
    (tmp_path / "file").write_text("")
    refused = score(folder, folder / "videos/a.mp4", "--model", "nowhere", "--curve", tmp_path / "file")
    assert isinstance(refused.exception, CurveError)
    assert "file: File exists; name another" in str(refused.exception)
