import shutil
import subprocess

import pytest

from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError
from pipeline.reporting import ReportError, load_run
from pipeline.reporting.run import git_revision


def test_reads_what_the_stages_left(finished_run):
    run = load_run(finished_run)
    first = run.predictions[0]
    assert (first.video_id, first.content, first.codec, first.level) == (
        "content-00_av1_20",
        "content-00",
        "av1",
        "20",
    )
    assert (first.low, first.high) == (pytest.approx(first.student - 15), pytest.approx(first.student + 15))
    assert (first.rate, first.out_of_domain) == (pytest.approx(1000 * 2 ** (-28 / 6), abs=1e-3), False)
    assert first.error == first.student - first.mos
    assert [row.video_id for row in run.predictions] == sorted(row.video_id for row in run.predictions)
    (part,) = run.parts
    assert (part.dataset, part.score_name, part.length) == ("embedded", "pseudo-MOS (MS-SSIM)", 100.0)
    assert run.seconds["distill"] == 142.7
    assert run.curves["adapt"]["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(run.clips) == len(run.predictions)
    assert run.teacher["weights_sha256"] == "ab" * 32
    assert run.dataset_digest == file_digest(finished_run / "data/videos.csv")


def test_only_the_evaluation_is_needed(run_root):
    for name in ("data", "models", "results/adapt", "results/distill", "results/extract"):
        shutil.rmtree(run_root / name)
    run = load_run(run_root)
    assert (run.score_name, run.parts[0].length, run.clips, run.dataset_digest) == ("MOS", None, None, None)
    assert run.predictions[0].codec == ""


def test_what_evaluate_does_not_know_is_none(run_root, rewrite):
    name = "content-00_av1_20"
    rewrite(run_root / "results/evaluate/details.csv", lambda text: f"{text.splitlines()[0]}\n{name},1,2,,,x\n")
    rewrite(run_root / "results/evaluate/predictions.csv", lambda text: f"{text.splitlines()[0]}\n{name},1,,3\n")
    (row,) = load_run(run_root).predictions
    assert (row.low, row.high, row.rate, row.out_of_domain, row.teacher) == (1.0, 2.0, None, None, None)


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_a_missing_evaluation_says_what_to_run(run_root, name):
    (run_root / "results/evaluate" / name).unlink()
    with pytest.raises(ReportError, match=rf"{name} is missing.*; run the stage evaluate first"):
        load_run(run_root)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("evaluate/metrics.json", "{", "cannot read .*metrics.json"),
        ("evaluate/metrics.json", "[]", r"got \[\]; it must be a valid dictionary"),
        ("evaluate/metrics.json", '{"teacher": {"srcc": 1}}', "student.srcc is missing; it has teacher"),
        ("evaluate/predictions.csv", "", "is missing or has no rows; run the stage evaluate first"),
        ("evaluate/differences.csv", "a,b\n", "got the header a,b; it lacks predictor, srcc_difference, low, high"),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\nx,1,2,3\n", "labels.csv lacks the video 'x'"),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\nx,1,2,nan\n", "row 2, student: got 'nan'; it must"),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\na,1\n", "row 2: got 2 columns; expected 4"),
        ("evaluate/predictions.csv", "mos,mos\n1,2\n", "got the header mos,mos; expected each name once"),
        ("evaluate/details.csv", "video_id,low\nx,1\n", "it lacks high, out_of_domain, kilobits_per_second"),
        ("render/timing.json", '{"seconds": "long"}', "timing.json, seconds: got 'long'; it must be a valid number"),
        ("adapt/curves.csv", "epoch,loss\nfirst,1\n", "could not convert string to float: 'first'"),
    ],
)
def test_a_malformed_file_is_refused(run_root, name, text, message):
    path = run_root / "results" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        load_run(run_root)


def test_a_malformed_manifest_is_refused(run_root):
    (run_root / "data" / "labels.csv").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="got the header"):
        load_run(run_root)


def test_an_empty_table_is_no_table(run_root):
    """A teacher that is passed through has no epochs, so its curves are an empty file."""
    (run_root / "results/adapt/curves.csv").write_text("", encoding="utf-8")
    assert list(load_run(run_root).curves) == ["distill"]


def test_revision_says_when_code_differs(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    assert git_revision(tmp_path / "nowhere") is None
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "notes").write_text("1\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    clean = git_revision(tmp_path)
    assert len(clean) == 40
    (tmp_path / "notes").write_text("2\n")
    assert git_revision(tmp_path) == clean
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert git_revision(tmp_path) == f"{clean} with uncommitted changes to code or settings"
