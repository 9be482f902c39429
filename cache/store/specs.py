"""What goes into a store: the arrays, the units of work, and what computing a unit gives back."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cache.store.errors import CacheError, SpecError
from cache.store.fingerprint import digest, plain

DTYPES = ("uint8", "uint16", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
LOSSY_DTYPES = ("float16", "bfloat16")
ROW_ARRAYS = ("video_id", "view", "status", "reason", "video_digest", "source_digest")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
NEVER_WRITTEN, OK, FAILED = 0, 1, 2


def check_text(text: str, what: str) -> None:
    """Refuse text that UTF-8 cannot spell, or that C strings (in HDF5) would cut short.

    Raises:
        SpecError: it is not such text.
    """
    try:
        encoded = text.encode() if isinstance(text, str) else None
    except UnicodeEncodeError as error:
        raise SpecError(f"got {what} {text!r}; expected text that UTF-8 can spell") from error
    if encoded is None or b"\0" in encoded:
        raise SpecError(f"got {what} {text!r}; expected text without NUL characters")


def check_name(name: str, what: str) -> None:
    """Refuse a name that would collide with the store's own arrays or be awkward as a folder.

    Raises:
        SpecError: the name is taken or is not lower-case letters, digits and underscores.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(f"got {what} name {name!r}; expected lower-case letters, digits, underscores; rename it")
    if name in ROW_ARRAYS or name.endswith(("_sha256", "_loss")):
        raise SpecError(f"got {what} name {name!r}; the store itself uses it; rename it")


@dataclass(frozen=True)
class ArraySpec:
    """One array of a store, described by one of its rows.

    Attributes:
        name: folder of the array in the store.
        dtype: one of ``DTYPES``; ``bfloat16`` is stored as ``uint16`` bit patterns.
        shape: shape of one row, without the row dimension.
        dims: names of the row's dimensions, one per entry of ``shape``.
        fingerprint: everything that shapes the values, as plain JSON.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    fingerprint: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_name(self.name, "array")
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dims", tuple(self.dims))
        object.__setattr__(self, "fingerprint", plain(self.fingerprint))
        if self.dtype not in DTYPES:
            raise SpecError(f"{self.name}: got dtype {self.dtype!r}; expected one of {', '.join(DTYPES)}")
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in self.shape):
            raise SpecError(f"{self.name}: got row shape {self.shape}; expected whole numbers of at least 1")
        if len(self.dims) != len(self.shape) or len(set(self.dims)) != len(self.dims) or "row" in self.dims:
            raise SpecError(
                f"{self.name}: got dims {self.dims} for row shape {self.shape}; "
                "expected one different name per dimension, none of them 'row'"
            )

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """The little-endian numpy dtype of the bytes on disk."""
        return np.dtype("uint16" if self.dtype == "bfloat16" else self.dtype).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape) * self.stored_dtype.itemsize

    @property
    def lossy(self) -> bool:
        """Whether storing rounds a float32 value."""
        return self.dtype in LOSSY_DTYPES

    @property
    def identity(self) -> dict[str, Any]:
        """Everything two arrays must share before a row of one may stand in the other."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "dims": list(self.dims),
            "fingerprint": dict(self.fingerprint),
        }

    @cached_property
    def recipe(self) -> str:
        """Digest of ``identity``: the folder of this array's rows in the pool."""
        return digest(self.identity)


@dataclass(frozen=True)
class Unit:
    """The unit of work: all views of one video.

    Attributes:
        video_id: name of the video, unique in a store.
        video_digest: SHA-256 of the video file's bytes.
        source: digest of what the rows are computed from (clips: the video's; targets: its clips' pixels).
        num_rows: number of views.
    """

    video_id: str
    video_digest: str
    source: str
    num_rows: int

    def __post_init__(self) -> None:
        for name in ("video_id", "video_digest", "source"):
            check_text(getattr(self, name), name)
            if not getattr(self, name):
                raise SpecError(f"got an empty {name}; expected text")
        if isinstance(self.num_rows, bool) or not isinstance(self.num_rows, int) or self.num_rows < 1:
            raise SpecError(f"{self.video_id}: got {self.num_rows!r} rows; expected a whole number of at least 1")

    @cached_property
    def key(self) -> str:
        """Digest that names this unit's rows in the pool: what they are computed from, and how many they are."""
        return digest([self.source, self.num_rows])


@dataclass(frozen=True)
class Job:
    """A request to compute some arrays of one unit."""

    unit: Unit
    arrays: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """What computing a job gave: the asked arrays, and text per row.

    Attributes:
        arrays: per array ``(num_rows, *shape)``; floats of any width for a float array, else exactly its dtype.
        columns: per column one text per row, such as the decoder used or the view's parameters as JSON.
    """

    arrays: dict[str, np.ndarray[Any, Any]]
    columns: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A unit that could not be computed, and why."""

    reason: str

    def __post_init__(self) -> None:
        # Reasons quote file names, which need not be valid text.
        readable = self.reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
        object.__setattr__(self, "reason", readable or "no reason given")


@dataclass(frozen=True)
class BuildReport:
    """What a build did, in rows.

    Attributes:
        rows: rows in the store.
        failed: rows that failed.
        computed: rows of which something was computed in this run.
        adopted: other rows of which something was taken from an older store.
        reused: rows that the pool held, or that share their content with another video.
        failures: reason per failed video.
    """

    rows: int
    failed: int
    computed: int
    reused: int
    adopted: int
    failures: dict[str, str]


class TooManyFailedError(CacheError):
    """More rows failed than allowed; everything that could be computed was, and is in the pool.

    Attributes:
        report: what was done before giving up.
    """

    def __init__(self, report: BuildReport, max_failed: int) -> None:
        shown = [f"  {video_id}: {reason}" for video_id, reason in list(report.failures.items())[:20]]
        hidden = len(report.failures) - len(shown)
        more = [f"  and {hidden} more"] if hidden else []
        text = [
            f"{len(report.failures)} video(s) failed, {max_failed} allowed; the other videos' rows are in the pool:",
            *shown,
            *more,
            "do: repair or remove these videos, or raise max_failed; the next run computes only what is missing",
        ]
        super().__init__("\n".join(text))
        self.report = report


TooManyFailed = TooManyFailedError
