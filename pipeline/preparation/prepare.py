"""From a data set's files to the manifest: collect, identify, check, split.

Every file is looked at (``checks.py``) before any hour is spent on it, and every problem is named at once.
Splits are by content: a content never stands in two of them. The publisher's split is followed where there is one; else
contents are drawn with the seed.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import registry
from pipeline.core.manifest import Label, ManifestError, ScoreScale, Video, content_leaks
from pipeline.core.progress import Advance, track
from pipeline.preparation.checks import duplicates, duplicates_across_splits, scale_warnings, score_problems
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry
from pipeline.preparation.files import identify
from pipeline.preparation.settings import PrepareSettings
from pipeline.preparation.splits import _labels

_MAX_PROBLEMS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What ``prepare`` writes: both tables in the order of ``video_id``, and the scale of each data set's scores."""

    videos: list[Video]
    labels: list[Label]
    scales: dict[str, ScoreScale]


def prepare(settings: PrepareSettings, data_root: Path, *, workers: int) -> Tables:
    """Makes the manifest of the selected data set.

    Args:
        settings: the section ``prepare``.
        data_root: the folder that paths are relative to.
        workers: processes that make, hash and probe files; they change no result.

    Raises:
        ManifestError: lists every row of the publisher's tables that is wrong, every file that cannot be used, every
            score out of range, and every content in two splits.
        DatasetError: nothing of the data set could be found.
        SettingsError: the data set's own settings are wrong.
    """
    module = registry.find("preparation.datasets", settings.dataset)
    options = module.Settings.parse(settings.options.get(settings.dataset, {}), f"prepare.options.{settings.dataset}")
    (data_root / "videos").mkdir(parents=True, exist_ok=True)
    with ExitStack() as shown:
        report = _Reported(f"prepare: {settings.dataset}", shown)
        entries, problems, advice = _collected(lambda: module.collect(options, data_root, workers, report))
    scales: dict[str, ScoreScale] = module.scales(options)
    problems += _entry_problems(entries, scales)
    videos, wrong_files = identify(entries, data_root, workers=workers)
    labels = _labels(entries, settings)
    told = {entry.video_id: entry.told for entry in entries}
    problems += [*wrong_files, *content_leaks(labels, told)]
    counts = Counter(entry.video_id for entry in entries)
    problems += duplicates_across_splits([video for video in videos if counts[video.video_id] == 1], labels, told)
    if problems:
        title = f"prepare found {len(problems)} {'problem' if len(problems) == 1 else 'problems'}:"
        raise ManifestError("\n".join([title, *_shortened(problems), *([advice] if advice else [])]))
    _tell_duplicates(videos)
    for warning in scale_warnings(entries, scales):
        print(f"prepare: warning: {warning}", file=sys.stderr)
    return Tables(videos=videos, labels=labels, scales=scales)


def _collected(collect: Callable[[], list[Entry]]) -> tuple[list[Entry], list[str], str]:
    """The videos by name, the problems on the way, and advice on them.

    Raises:
        DatasetError: nothing was found.
    """
    try:
        entries, problems, advice = list(collect()), [], ""
    except DatasetError as error:
        if not error.entries:
            raise
        entries, problems, advice = list(error.entries), list(error.problems), error.advice
        print(
            f"prepare: {len(problems)} wrong in the tables, the first: {problems[0]}\n"
            "prepare: the files are looked at too, then every problem is reported",
            file=sys.stderr,
        )
    return sorted(entries, key=lambda entry: entry.video_id), problems, advice


def _tell_duplicates(videos: Sequence[Video]) -> None:
    """Videos of one split that are one file may be meant: they share what is computed, and are named."""
    found = [f"prepare: {' and '.join(names)} are the same file" for names in duplicates(videos)]
    if found:
        print("\n".join(_shortened(found)), file=sys.stderr)


def summary(tables: Tables) -> dict[str, int]:
    """Counts for ``results/prepare/metrics.json``."""
    splits = Counter(label.split for label in tables.labels)
    return {
        "videos": len(tables.videos),
        "contents": len({label.content for label in tables.labels}),
        "train": splits["train"],
        "val": splits["val"],
        "test": splits["test"],
        "labelled": sum(label.labelled for label in tables.labels),
        "duplicates": len(tables.videos) - len({video.sha256 for video in tables.videos}),
    }


def _entry_problems(entries: Sequence[Entry], scales: dict[str, ScoreScale]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        places[entry.video_id].append(entry.where or entry.path)
    problems = [
        f"video_id {name!r} stands {len(found)} times ({_few(found)}); name each video once"
        for name, found in places.items()
        if len(found) > 1
    ]
    problems += score_problems(entries, scales)
    if not entries:
        problems.append("the data set has no videos; see what it asks for at the top of its file in pipeline/datasets/")
    return problems


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:4], *(["…"] if len(names) > 4 else [])])


class _Reported:
    """A data set reports (done, total); progress begins with its first word."""

    def __init__(self, description: str, shown: ExitStack) -> None:
        self._description, self._shown = description, shown
        self._advance: Advance | None = None
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        if self._advance is None:
            self._advance = self._shown.enter_context(track(self._description, total))
        self._advance(done - self._done)
        self._done = done


def _shortened(problems: list[str]) -> list[str]:
    rest = len(problems) - _MAX_PROBLEMS_SHOWN
    return problems[:_MAX_PROBLEMS_SHOWN] + ([f"… and {rest} more"] if rest > 0 else [])
