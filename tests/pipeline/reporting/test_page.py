import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipeline.core.files import file_digest
from pipeline.core.manifest import read_videos, write_videos
from pipeline.reporting import load_run, write_report
from pipeline.reporting.page import render_page
from pipeline.reporting.settings import ReportSettings
from tests.videos import write_video

SETTINGS = ReportSettings(title="TeachOnce", worst=10)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: elements that balance, their attributes, ids and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def values(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture
def rendered(run_root):
    def render(worst=10, title="TeachOnce"):
        return render_page(load_run(run_root), ReportSettings(title=title, worst=worst), "f" * 40)

    return render


@pytest.fixture(scope="module")
def full_page(_finished_run):
    """The page of the complete run, made once."""
    return render_page(load_run(_finished_run), SETTINGS, "f" * 40)


def test_loads_nothing_and_runs_nothing(full_page):
    page = Page(full_page)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "audio", "video"}
    policy = next(attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert all(target.startswith("#") for target in page.values("href") + page.values("xlink:href"))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "@import" not in full_page
    assert not re.search(r"url\((?!#)", full_page)


def test_every_id_is_unique_and_every_link_leads_somewhere(full_page):
    page = Page(full_page)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.values("href") + page.values("xlink:href")} <= set(ids)


def test_is_the_same_twice_and_holds_no_date(full_page, rendered):
    assert full_page == rendered()
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\d\d:\d\d:\d\d", re.sub(r"base64,[^\"]*", "", full_page))


def test_shows_every_part(full_page):
    page = Page(full_page)
    text = re.sub(r"\s+", " ", " ".join(page.text))
    for words in (
        "On 24 test videos of 2 contents",
        "ridge on teacher embeddings",
        "0.810 to 0.900",
        "fitted 4-parameter logistic",
        "By codec and level",
        "content-01",
        "residual_std",
        "to hold the true one in 95 of 100 videos: here it does in 2",
        "Score over the file’s rate",
        "called out of domain",
        "kbit/s",
        "Worst predictions",
        "distill: loss",
        "1.23 M",
        "2 min 23 s",
        "f" * 40,
        "internvideo2_tiny",
        "numpy",
    ):
        assert words in text
    assert "Left out" not in text
    assert "left out:" not in text
    pictures = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert text.count("No whole frame: its file is not there.") == 10
    assert len(pictures) + text.count("Nothing that the models saw: rendering this video failed.") == 10


def test_the_worst_videos_are_shown_themselves(run_root, rendered):
    write_video(run_root / "data/film.mkv", codec="ffv1", num_frames=3)
    table = run_root / "data/videos.csv"
    digest = file_digest(run_root / "data/film.mkv")
    write_videos(table, [replace(video, path="film.mkv", sha256=digest) for video in read_videos(table)])
    pictures = [attributes["alt"] for tag, attributes in Page(rendered()).elements if tag == "img"]
    assert len([alt for alt in pictures if alt.startswith("The middle frame of content-")]) == 10


def test_the_score_has_its_name_wherever_it_is_an_axis(full_page):
    assert full_page.count("true pseudo-MOS (MS-SSIM)") >= 3


def test_every_figure_and_picture_says_what_it_shows(full_page):
    for tag, attributes in Page(full_page).elements:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"


def test_text_of_the_data_is_escaped(run_root, rendered, rewrite):
    evil = "<script>alert(1)</script>$x$"
    for name in ("data/labels.csv", "data/videos.csv", "results/evaluate/predictions.csv"):
        rewrite(run_root / name, lambda text: text.replace("content-00", evil).replace(",h264,", f",{evil},"))
    page = rendered(title="<img src=x onerror=alert(1)>")
    assert "<script" not in page
    assert "onerror=alert(1)&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;$x$" in page
    Page(page)


def test_what_is_missing_is_said(run_root, rendered):
    for name in ("data", "models", "results/adapt", "results/distill", "results/extract"):
        shutil.rmtree(run_root / name)
    (run_root / "results/evaluate/details.csv").unlink()
    for stage in ("prepare", "render", "evaluate"):
        (run_root / "results" / stage / "timing.json").unlink()
    text = " ".join(Page(rendered()).text)
    for words in (
        "The breakdown by level is left out",
        "no test content has two encodes of one codec",
        "The stored map is left out",
        "What the models saw is left out: data/clips.zarr is not there",
        "neither results/adapt/curves.csv nor results/distill/curves.csv",
        "Parameters and FLOPs are left out",
        "Times are left out",
        "no store and no student weights",
        "data/targets.zarr is not there",
    ):
        assert words in text


def test_a_teacher_without_scores_is_said(run_root, rendered, rewrite):
    rewrite(
        run_root / "results" / "evaluate" / "predictions.csv",
        lambda text: re.sub(r"^([^,]*,[^,]*),[^,]*,", r"\1,,", text, flags=re.M).replace("mos,,", "mos,teacher,"),
    )
    assert "The teacher’s scatter is left out" in rendered()


def test_no_worst_predictions_when_none_are_asked_for(rendered):
    assert 'id="worst"' not in rendered(worst=0)


def test_studies_are_shown_when_they_are_there(run_root, rendered):
    for name, text in (
        ("few_labels/curve.csv", "labelled_fraction,variant,srcc\n0.1,alone,0.4\n1,alone,0.8\n"),
        ("comparison/table.csv", "student,srcc,parameters\nqmamba,0.7712345678,12345678\n"),
    ):
        (run_root / "results" / name).parent.mkdir()
        (run_root / "results" / name).write_text(text, encoding="utf-8")
    text = " ".join(Page(rendered()).text)
    assert "Few labels" in text
    assert "labelled fraction" in text
    assert "qmamba" in text
    assert "0.7712" in text
    assert "12.3 M" in text


def test_data_sets_with_scales_of_their_own_share_no_axes(run_root, rendered, rewrite):
    rewrite(
        run_root / "data" / "videos.csv",
        lambda text: "".join(
            line.replace(",embedded,", ",konvid,") if line.startswith("content-01") else line
            for line in text.splitlines(keepends=True)
        ),
    )
    konvid = {"score_name": "MOS (5 points)", "low": 1, "high": 5, "published_direction": "higher_is_better"}
    rewrite(run_root / "data" / "dataset.json", lambda text: json.dumps(json.loads(text) | {"konvid": konvid}))
    page = Page(rendered())
    text = " ".join(page.text)
    assert "konvid: MOS (5 points)" in text
    assert "true MOS (5 points)" in text
    assert "the mean over the 2 data sets" in text
    assert len(page.values("id")) == len(set(page.values("id")))
    assert text.index("content-01_") < text.index("content-00_")


@pytest.mark.parametrize("rows", [1, 3])
def test_a_tiny_test_split_still_makes_a_page(run_root, rendered, rows):
    path = run_root / "results" / "evaluate" / "predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: rows + 1]), encoding="utf-8")
    Page(rendered())


def test_writes_one_file(run_root, tmp_path):
    path = tmp_path / "results" / "report" / "index.html"
    write_report(run_root, SETTINGS, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["index.html"]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
