"""Saying how two stores differ: which arrays, which videos, which rows, and why."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cache.store.fingerprint import difference
from cache.store.specs import OK
from cache.store.store import Store


@dataclass(frozen=True)
class Difference:
    """One way in which two stores differ.

    Attributes:
        what: what differs, and why if that is known.
        array: the array concerned; empty when it is the rows as such.
        video: the video concerned; empty when it is the array as such.
        views: the views concerned.
    """

    what: str
    array: str = ""
    video: str = ""
    views: tuple[int, ...] = ()

    def __str__(self) -> str:
        views = f" view {', '.join(map(str, self.views))}" if self.views else ""
        return f"{' '.join(filter(None, (self.array, self.video)))}{views}: {self.what}".lstrip(": ")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON."""
        return asdict(self) | {"views": list(self.views)}


def diff(one: Store, other: Store) -> list[Difference]:
    """Compare two stores by what they say of their rows; no value is read.

    Args:
        one: the store that ``only in A`` speaks of.
        other: the store that ``only in B`` speaks of.

    Returns:
        The differences, arrays first; empty when the stores have the same content.

    Raises:
        StoreError: a table of one of them is damaged.
    """
    return [*_of_stores(one, other), *_of_videos(one, other)]


def _of_stores(one: Store, other: Store) -> Iterator[Difference]:
    if one.kind != other.kind:
        yield Difference(f"kind: A has {one.kind!r}, B has {other.kind!r}")
    if one.views_per_video != other.views_per_video:
        yield Difference(f"views per video: A has {one.views_per_video}, B has {other.views_per_video}")
    for name in sorted(one.arrays.keys() | other.arrays.keys()):
        if name not in other.arrays or name not in one.arrays:
            yield Difference(f"only in {'A' if name in one.arrays else 'B'}", name)
            continue
        for line in difference(one.arrays[name].identity, other.arrays[name].identity):
            yield Difference(line.replace("stored ", "A has ").replace(", asked ", ", B has "), name)
    for column in sorted(set(one.columns) ^ set(other.columns)):
        yield Difference(f"column only in {'A' if column in one.columns else 'B'}", column)


def _of_videos(one: Store, other: Store) -> Iterator[Difference]:
    left, right = set(one.video_ids), set(other.video_ids)
    for video_id in sorted(left ^ right):
        yield Difference(f"only in {'A' if video_id in left else 'B'}", video=video_id)
    shared = sorted(one.arrays.keys() & other.arrays.keys())
    digests = {name: (one.row_digests(name), other.row_digests(name)) for name in shared}
    columns = {name: (one.column(name), other.column(name)) for name in set(one.columns) & set(other.columns)}
    for video_id in sorted(left & right):
        a, b = int(one.rows_of(video_id)[0]), int(other.rows_of(video_id)[0])
        why = []
        if one.video_digests[a] != other.video_digests[b]:
            why.append("the video file differs")
        if one.sources[a] != other.sources[b]:
            why.append("what it was computed from differs")
        views = range(min(one.views_per_video, other.views_per_video))
        moved = tuple(view for view in views if one.status[a + view] != other.status[b + view])
        if moved:
            states = [
                "ok" if store.status[row] == OK else f"failed ({store.reasons[row]})"
                for store, row in ((one, a + moved[0]), (other, b + moved[0]))
            ]
            yield Difference(f"A is {states[0]}, B is {states[1]}", video=video_id, views=moved)
        elif why:
            yield Difference("; ".join(why), video=video_id)
        for name, (mine, theirs) in digests.items():
            changed = tuple(v for v in views if v not in moved and mine[a + v] != theirs[b + v])
            if changed:
                same = one.arrays[name].recipe == other.arrays[name].recipe
                cause = "; ".join(why) or (
                    "though video, source and fingerprint are the same" if same else "the fingerprints differ"
                )
                yield Difference(f"values differ: {cause}", name, video_id, changed)
        for name, (ours, theirs) in sorted(columns.items()):
            changed = tuple(v for v in views if v not in moved and ours[a + v] != theirs[b + v])
            if changed:
                first = changed[0]
                yield Difference(f"A says {ours[a + first]!r}, B says {theirs[b + first]!r}", name, video_id, changed)
