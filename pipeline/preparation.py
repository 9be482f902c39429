"""From a data set's files to the manifest: collect, identify, check, split.

Every file is looked at (``pipeline/checks.py``) before any hour is spent on it, and every problem is told at once.
Splits are by content: a content never stands in two of them. The publisher's split is kept where there is one; else
contents are drawn with the seed.
"""

import hashlib
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipeline import registry
from pipeline.checks import duplicates, duplicates_across_splits, identify, score_problems
from pipeline.datasets import DatasetError, Entry
from pipeline.manifest import Label, ManifestError, ScoreScale, Split, Video, content_leaks
from pipeline.params import PrepareSettings
from pipeline.progress import Advance, track

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
    module = registry.find("datasets", settings.dataset)
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
            "prepare: the files are looked at too, then everything is told",
            file=sys.stderr,
        )
    return sorted(entries, key=lambda entry: entry.video_id), problems, advice


def _tell_duplicates(videos: Sequence[Video]) -> None:
    """Videos of one split that are one file may be meant: they share what is computed, and are told."""
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


def split_contents(contents: Sequence[str], *, val: float, test: float, seed: int) -> dict[str, Split]:
    """Divides contents between the splits.

    Each content is placed by a digest of the seed and its own name, whatever else there is: a data set that grows moves
    no content from one split to another, so the shares are met on average, not exactly. One exception: where none fell
    into a split, as happens with a handful of contents, the nearest is put there until a new one falls into it.

    Args:
        contents: names, in any order, repeated or not.
        val: share of the contents for validation, 0 to 1.
        test: share for test, 0 to 1.
        seed: of the draw.

    Returns:
        Content → split. With three contents or more, each split whose share is above 0 gets at least one.
    """
    places = {content: _place(content, f"split/{seed}") for content in contents}
    ranked = sorted(places, key=lambda content: (places[content], content))
    splits: dict[str, Split] = {
        content: "test" if places[content] < test else "val" if places[content] < test + val else "train"
        for content in ranked
    }
    if len(ranked) >= 3:
        if test > 0 and "test" not in splits.values():
            splits[ranked[0]] = "test"
        if val > 0 and "val" not in splits.values():
            splits[ranked[1]] = "val"
        if "train" not in splits.values():
            splits[ranked[-1]] = "train"
    return splits


def labelled_contents(contents: Sequence[str], *, fraction: float, seed: int) -> set[str]:
    """The training contents whose scores may be used; a larger fraction holds all of a smaller one's.

    Args:
        contents: of the training split.
        fraction: share of them, 0 to 1.
        seed: of the draw.
    """
    ranked = sorted(set(contents), key=lambda content: (_place(content, f"labelled/{seed}"), content))
    return set(ranked[: math.ceil(Fraction(str(fraction)) * len(ranked))])


def _place(content: str, salt: str) -> float:
    """A number in [0, 1) that depends on the content's name and the salt alone."""
    return int.from_bytes(hashlib.sha256(f"{salt}/{content}".encode()).digest()[:7], "big") / 2**56


def _labels(entries: Sequence[Entry], settings: PrepareSettings) -> list[Label]:
    drawn = _drawn(entries, settings)
    labels = [
        Label(
            video_id=entry.video_id,
            mos=entry.mos,
            content=entry.content,
            codec=entry.codec,
            level=entry.level,
            split=entry.split or drawn[entry.content],
            labelled=entry.mos is not None,
        )
        for entry in entries
    ]
    train = [label.content for label in labels if label.split == "train" and label.labelled]
    kept = labelled_contents(train, fraction=settings.labelled_fraction, seed=settings.seed)
    return [
        replace(label, labelled=label.labelled and (label.split != "train" or label.content in kept))
        for label in labels
    ]


def _drawn(entries: Sequence[Entry], settings: PrepareSettings) -> dict[str, Split]:
    """Splits of the contents that no publisher placed, data set by data set.

    Where the publisher of a data set fixed its test (or validation) videos, none of the others becomes one; a content
    of which some videos were placed follows them.
    """
    drawn: dict[str, Split] = {}
    for dataset in sorted({entry.dataset for entry in entries}):
        fixed = {entry.content: entry.split for entry in entries if entry.dataset == dataset and entry.split}
        contents = [entry.content for entry in entries if entry.dataset == dataset and not entry.split]
        shares = {name: 0.0 if name in fixed.values() else getattr(settings.split, name) for name in ("val", "test")}
        drawn |= split_contents(contents, val=shares["val"], test=shares["test"], seed=settings.seed)
        drawn |= {content: split for content, split in fixed.items() if split}
    return drawn


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
