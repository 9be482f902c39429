"""``teachonce cache verify`` against reading the same bytes with crc32c."""

import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import Figure, Setting, at_most, in_turn
from benchmarks.material import CLIP_SHAPE, write_random_store
from cache.store import ArraySpec, open_store
from cache.store.chunks import checksum

LIMIT = "every file read once, with the crc32c of its bytes: less does not look at every bit"
_CLIP = ArraySpec("clip", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"benchmark": 1})


def figures(setting: Setting) -> Iterator[Figure]:
    """A store of clips as the default run has it, and one of small rows."""
    for what, count, specs in (
        ("clips, 1.2 MB a file", setting.size(200, 3), [_CLIP]),
        ("embeddings and clips of 0.2 MB", setting.size(1000, 5), None),
    ):
        path = setting.folder / f"{count}.zarr"
        if specs is None:
            write_random_store(path, num_videos=count)
        else:
            write_random_store(path, num_videos=count, specs=specs, num_views=4)
        store = open_store(path)
        if problems := store.verify():
            raise RuntimeError(f"got {len(problems)} problems, the first {problems[0]}; expected none")
        files = [file for file in path.rglob("*") if file.is_file()]
        turns = in_turn(
            store.verify,
            partial(_checksums, files),
            5 * setting.rounds,  # a tenth of a second each
        )
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        yield Figure(
            what=f"verify, {what}",
            against="read and crc32c",
            ratios=turns.time_ratios(),
            goal=at_most(1.5),
            detail={
                "megabytes": megabytes,
                "megabytes_per_second": megabytes / statistics.median(turns.ours),
                **turns.detail(),
            },
        )


def _checksums(files: Sequence[Path]) -> list[bytes]:
    return [checksum(file.read_bytes()) for file in files]
