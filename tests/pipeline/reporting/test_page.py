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
from pipeline.reporting.panels import scatter, worst
from pipeline.reporting.settings import ReportSettings
from tests.videos import write_video

SETTINGS = ReportSettings(title="TeachOnce", worst=10)
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a browser would see: elements that balance, their attributes, ids and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

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
            self.words.append(data)

    def values(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture
def rendered(run_root):
    def render(**settings):
        run = replace(load_run(run_root), revision="f" * 40)
        return render_page(run, SETTINGS.model_copy(update=settings))

    return render


@pytest.fixture(scope="module")
def full_page(finished_run):
    """The page of the complete run, made once."""
    return render_page(replace(load_run(finished_run), revision="f" * 40), SETTINGS)


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


def test_every_section_concludes_in_one_sentence_with_a_number_of_the_run(full_page):
    sections = full_page.split("<section ")[1:]
    assert [re.search(r'id="([^"]*)"', section)[1] for section in sections] == [
        "summary",
        "comparison",
        "scatter",
        "calibration",
        "breakdown",
        "rate-quality",
        "worst",
        "training",
        "cost",
        "identity",
    ]
    for section in sections:
        (sentence,) = re.findall(r'<p class="conclusion">(.*?)</p>', section, flags=re.DOTALL)
        assert sentence.endswith(".")
        assert not re.search(r"[.?!] [A-Z]", sentence)
        assert re.search(r"\d|better|worse|commit", sentence)


def test_no_table_is_too_wide_and_none_has_a_header_of_a_file(full_page):
    heads = re.findall(r"<thead>(.*?)</thead>", full_page, flags=re.DOTALL)
    assert heads
    for head in heads:
        columns = re.findall(r'<th scope="col" class="([^"]*)">(.*?)</th>', head)
        assert len([kinds for kinds, _ in columns if "wide" not in kinds]) <= 5
        assert not [title for _, title in columns if "_" in title]


def test_says_what_a_reader_wants_first(full_page):
    text = Page(full_page).text
    for words in (
        "On 24 test videos of 2 contents that training never saw, the student ranks videos by pseudo-MOS (MS-SSIM)",
        "below its teacher’s 0.93.",
        "the student ranks better than ridge on hand features and bits per pixel, ranks worse than the teacher and is "
        "not separable from ridge on teacher embeddings and CRF + codec.",
        "of 100 points off (RMSE)",
        "88 %",
        "The student errs most on",
        "The student calls 4 of 24 test videos unlike those of its training; their RMSE is",
        "Of two encodes of one content by one codec, the student prefers the truly better one in",
        "largest errors, one a content, are scores that are too high",
        "the student’s are those of epoch 17 of 30 (validation SRCC 0.90); later ones were no better",
        "The stages took 5 min 42 s in all, distill the longest with 2 min 23 s; the student has 21 %",
        "768 clips, 311.2 clips per second, 2 failed",
        "A student of the kind fragments, taught by internvideo2_tiny, made by commit ffffffffffff.",
    ):
        assert words in text
    assert full_page.count("true pseudo-MOS (MS-SSIM)") >= 3


def test_the_worst_videos_are_shown_themselves(run_root):
    write_video(run_root / "data/film.mkv", codec="ffv1", num_frames=3)
    table = run_root / "data/videos.csv"
    digest = file_digest(run_root / "data/film.mkv")
    write_videos(table, [replace(video, path="film.mkv", sha256=digest) for video in read_videos(table)])
    shown = worst.section(load_run(run_root), SETTINGS)
    pictures = [attributes["alt"] for tag, attributes in Page(shown.body).elements if tag == "img"]
    assert len([alt for alt in pictures if alt.startswith("A frame of content-")]) == 2


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


def test_the_page_of_an_evaluation_alone(run_root, rendered):
    for name in ("data", "models", "results/adapt", "results/distill", "results/extract"):
        shutil.rmtree(run_root / name)
    for name in ("details.csv", "differences.csv"):
        (run_root / "results/evaluate" / name).unlink()
    for stage in ("prepare", "render", "evaluate"):
        (run_root / "results" / stage / "timing.json").unlink()
    page = Page(rendered())
    ids = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert ids == ["summary", "comparison", "scatter", "calibration", "worst", "identity"]
    assert "No whole frame: data/videos.csv is not there." in page.text
    assert "no interval of a test video is known" in page.text
    assert "not compared video by video, so no difference between them is certain" in page.text


def test_a_teacher_without_scores_is_said(run_root, rewrite):
    def without(text):
        return re.sub(r"^([^,]*,[^,]*),[^,]*,", r"\1,,", text, flags=re.M).replace("mos,,", "mos,teacher,")

    rewrite(run_root / "results/evaluate/predictions.csv", without)
    assert "The teacher has no scores of these videos." in scatter.section(load_run(run_root), SETTINGS).body


def test_data_sets_with_scales_of_their_own_share_no_axes(run_root, rendered, rewrite):
    def moved(text):
        lines = text.splitlines(keepends=True)
        return "".join(
            line.replace(",embedded,", ",konvid,") if line.startswith("content-01") else line for line in lines
        )

    rewrite(run_root / "data/videos.csv", moved)
    konvid = {"score_name": "MOS (5 points)", "low": 1, "high": 5, "published_direction": "higher_is_better"}
    rewrite(run_root / "data/dataset.json", lambda text: json.dumps(json.loads(text) | {"konvid": konvid}))
    page = Page(rendered())
    assert "konvid: MOS (5 points)" in page.text
    assert "embedded: The student’s scores are typically" in page.text
    assert "; konvid: The student’s scores are typically" in page.text
    assert "true MOS (5 points)" in page.text
    assert "the mean over the 2 data sets" in page.text
    assert len(page.values("id")) == len(set(page.values("id")))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_tiny_test_split_still_makes_a_page(run_root, rendered, rewrite, rows):
    rewrite(
        run_root / "results/evaluate/predictions.csv",
        lambda text: "".join(text.splitlines(keepends=True)[: rows + 1]),
    )
    Page(rendered())


def test_writes_one_file(finished_run, tmp_path):
    path = tmp_path / "results/report/index.html"
    write_report(finished_run, SETTINGS, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["index.html"]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
