"""Contents to splits, and the choice of those whose labels are used."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from pipeline.core.manifest import Label, Split
from pipeline.preparation.datasets.shared.entry import Entry
from pipeline.preparation.settings import PrepareSettings


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
            scores=entry.scores,
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
