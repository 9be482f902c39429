import shutil

import pytest

from pipeline.core.manifest import ManifestError
from pipeline.reporting import ReportError, load_run
from pipeline.reporting.files import Table


def test_reads_what_the_stages_left(run_root):
    run = load_run(run_root)
    first = run.predictions[0]
    assert (first.video_id, first.content, first.codec, first.level) == (
        "content-00_av1_20",
        "content-00",
        "av1",
        "20",
    )
    assert first.dataset == "embedded"
    assert (first.low, first.high) == (pytest.approx(first.student - 15), pytest.approx(first.student + 15))
    assert (first.rate, first.out_of_domain) == (pytest.approx(1000 * 2 ** (-28 / 6), abs=1e-3), False)
    assert first.error == first.student - first.mos
    assert [row.video_id for row in run.predictions] == sorted(row.video_id for row in run.predictions)
    assert run.score_name == "pseudo-MOS (MS-SSIM)"
    assert run.seconds["distill"] == 142.7
    assert list(run.curves) == ["adapt", "distill"]
    assert run.few_labels is None
    assert run.comparison is None
    assert len(run.clips) == len(run.predictions)


def test_only_the_evaluation_is_needed(run_root):
    for name in ("data", "models", "results/adapt", "results/distill", "results/extract"):
        shutil.rmtree(run_root / name)
    run = load_run(run_root)
    assert run.score_name == "MOS"
    assert run.clips is None
    assert run.predictions[0].codec == ""


def test_what_evaluate_does_not_know_is_none(run_root):
    path = run_root / "results" / "evaluate" / "details.csv"
    header, first, *_ = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{header}\n{first.split(',')[0]},1,2,,,x\n", encoding="utf-8")
    known, other = load_run(run_root).predictions[0], load_run(run_root).predictions[1]
    found = {row.video_id: (row.low, row.high, row.rate, row.out_of_domain) for row in load_run(run_root).predictions}
    assert found[first.split(",")[0]] == (1.0, 2.0, None, None)
    assert (None, None, None, None) in (found[known.video_id], found[other.video_id])


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_a_missing_evaluation_says_what_to_run(run_root, name):
    (run_root / "results" / "evaluate" / name).unlink()
    with pytest.raises(ReportError, match=rf"{name} is missing.*; run the stage evaluate first"):
        load_run(run_root)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("evaluate/metrics.json", "{", "cannot read .*metrics.json"),
        ("evaluate/metrics.json", "[]", "got list; expected one JSON object"),
        ("evaluate/metrics.json", '{"teacher": {"srcc": 1}}', "student.srcc is missing; it has teacher"),
        ("evaluate/predictions.csv", "", "is missing or empty; run the stage evaluate first"),
        ("evaluate/differences.csv", "a,b\n", "expected predictor,srcc_difference,low,high"),
        ("evaluate/predictions.csv", "a,b\n1,2\n", "got the header a,b; expected video_id,mos,teacher,student"),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\n", "the test split is empty"),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\nx,1,2,3\n", "labels.csv lacks the video 'x'"),
        (
            "evaluate/predictions.csv",
            "video_id,mos,teacher,student\ncontent-00_av1_20,1,2,nan\n",
            "row 2, student: got 'nan'; expected a finite number",
        ),
        ("evaluate/predictions.csv", "video_id,mos,teacher,student\na,1\n", "row 2: got 2 columns; expected 4"),
        ("evaluate/details.csv", "video_id,low\nx,1\n", "it lacks high, kilobits_per_second, out_of_domain"),
        (
            "evaluate/details.csv",
            "video_id,low,high,out_of_domain,kilobits_per_second\nx,1,much,0,3\n",
            "row 2, high: got 'much'; expected a finite number",
        ),
        ("render/timing.json", '{"seconds": "long"}', "got seconds = 'long'; expected a number"),
        ("comparison/table.csv", "a,a\n1,2\n", "a column name stands twice in a,a"),
        ("few_labels/curve.csv", "a,b\n1\n", "curve.csv, row 2: got 1 columns; expected 2"),
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
    (run_root / "results" / "adapt" / "curves.csv").write_text("", encoding="utf-8")
    assert list(load_run(run_root).curves) == ["distill"]


def test_a_teacher_without_scores_is_none(run_root):
    path = run_root / "results" / "evaluate" / "predictions.csv"
    path.write_text("video_id,mos,teacher,student\ncontent-00_av1_20,1,,3\n", encoding="utf-8")
    assert load_run(run_root).predictions[0].teacher is None


def test_columns_of_a_table():
    table = Table(("n", "who", "srcc"), (("1", "a", ""), ("2", "b", "0.5")))
    assert table.text("who") == ["a", "b"]
    assert table.numbers("who") is None
    assert table.numbers("n").tolist() == [1.0, 2.0]
    assert str(table.numbers("srcc").tolist()) == "[nan, 0.5]"
