"""Where everything is in a store, and the root document that says so.

``cache/README.md`` specifies the same in words; when one changes, so does the other, and ``FORMAT_VERSION``.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.store.errors import CacheError, FormatVersionError, StoreError
from cache.store.fingerprint import digest, plain
from cache.store.specs import ArraySpec, check_name

FORMAT = "teachonce-store"
FORMAT_VERSION = 2
OLDEST_VERSION = 1
"""Version 1 lacks the list ``crc32c``; everything else is the same."""
ATTRIBUTE = "teachonce"
ROOT = "zarr.json"
OWN_FILE_ROW_BYTES = 64 << 10
CHUNK_ROWS = 16384
CHUNK_BYTES = 64 << 20
MOST_CHUNK_BYTES = (2 << 30) - (4 << 10)  # what one read call gives
LARGEST_ROOT_BYTES = 256 << 20
MOST_ROWS = 1 << 40
TEXT = "string"
_CHECKSUM = re.compile("[0-9a-f]{8}")


@dataclass(frozen=True)
class Stored:
    """One Zarr array of the store, targets and row tables alike.

    Attributes:
        name: its folder.
        dtype: Zarr's name of its data type on disk; ``string`` for text.
        shape: shape of one row.
        dims: names of the row's dimensions.
        chunk_rows: rows per chunk file.
        num_rows: rows in all.
        own_files: whether each video has a chunk file of its own, absent when the video failed.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    chunk_rows: int
    num_rows: int
    own_files: bool

    @property
    def num_chunks(self) -> int:
        """Chunk files when none is absent."""
        return -(-self.num_rows // self.chunk_rows)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The little-endian numpy dtype; not for text."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; 0 for text."""
        return 0 if self.dtype == TEXT else math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def payload_bytes(self) -> int | None:
        """Bytes of every chunk without its checksum (the last one is padded); None for text."""
        return None if self.dtype == TEXT else self.chunk_rows * self.row_bytes

    @property
    def separator(self) -> str:
        """What stands between the numbers in a chunk's name.

        A dot for one file per video: with a slash every video would have as many folders as its rows have dimensions.
        """
        return "." if self.own_files else "/"

    def chunk(self, index: int) -> str:
        """Path of a chunk file in the store."""
        return f"{self.name}/{self.separator.join(['c', str(index), *['0'] * len(self.shape)])}"

    @property
    def document(self) -> str:
        """Path of the array's own ``zarr.json`` in the store."""
        return f"{self.name}/{ROOT}"

    def rows_of(self, index: int) -> range:
        """Rows that a chunk holds."""
        return range(index * self.chunk_rows, min((index + 1) * self.chunk_rows, self.num_rows))


@dataclass(frozen=True)
class Layout:
    """The arrays of a store: the same for the same specs, columns and number of rows, whatever its history."""

    specs: tuple[ArraySpec, ...]
    columns: tuple[str, ...]
    num_rows: int
    views_per_video: int

    def _small(self, name: str, dtype: str, shape: tuple[int, ...] = (), dims: tuple[str, ...] = ()) -> Stored:
        row_bytes = math.prod(shape) * (1 if dtype == TEXT else np.dtype(dtype).itemsize)
        rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // row_bytes, self.num_rows))
        return Stored(name, dtype, shape, dims, rows, self.num_rows, False)

    def target(self, spec: ArraySpec) -> Stored:
        """The array of a spec."""
        dtype = spec.stored_dtype.name
        if spec.row_bytes >= OWN_FILE_ROW_BYTES:
            return Stored(spec.name, dtype, spec.shape, spec.dims, self.views_per_video, self.num_rows, True)
        return self._small(spec.name, dtype, spec.shape, spec.dims)

    def row_digests(self, spec: ArraySpec) -> Stored:
        """The array of a spec's row digests."""
        return self._small(f"{spec.name}_sha256", "uint8", (32,), ("sha256_byte",))

    def losses(self, spec: ArraySpec) -> Stored:
        """The array of a rounded spec's losses: cosine, then largest absolute error."""
        return self._small(f"{spec.name}_loss", "float64", (2,), ("cosine_and_max_error",))

    def table(self) -> dict[str, Stored]:
        """Every row table that is not a target, by name."""
        tables = [self._small(name, TEXT) for name in ("video_id", "reason", "video_digest", "source_digest")]
        tables += [self._small("view", "int32"), self._small("status", "uint8")]
        tables += [self._small(name, TEXT) for name in self.columns]
        tables += [self.row_digests(spec) for spec in self.specs]
        tables += [self.losses(spec) for spec in self.specs if spec.lossy]
        return {stored.name: stored for stored in tables}

    def arrays(self) -> dict[str, Stored]:
        """Every Zarr array of the store, by name."""
        return {spec.name: self.target(spec) for spec in self.specs} | self.table()


@dataclass(frozen=True)
class Root:
    """The root document: what the store is, and the digest of every file that belongs to it.

    Attributes:
        kind: what the rows are, such as ``clips``.
        layout: the arrays.
        metadata: what the writer wanted to add.
        losses: per rounded array: mean and smallest cosine, largest absolute error, rows measured.
        files: SHA-256 of every ``zarr.json`` but the root's own.
        chunks: per array the SHA-256 of each chunk file; None where a failed video's must be absent.
        content_digest: digest of the content, whatever the layout.
        checksums: per array the last four bytes of each chunk file in hex, its crc32c; None in a store of version 1.
    """

    kind: str
    layout: Layout
    metadata: Mapping[str, Any]
    losses: Mapping[str, Any]
    files: Mapping[str, str]
    chunks: Mapping[str, Sequence[str | None]]
    content_digest: str
    checksums: Mapping[str, Sequence[str | None]] | None

    def description(self) -> dict[str, Any]:
        """Return the ``teachonce`` attribute, signed with the digest of itself."""
        layout = self.layout
        arrays = {
            spec.name: {
                "dtype": spec.dtype,
                "shape": list(spec.shape),
                "dims": list(spec.dims),
                "fingerprint": dict(spec.fingerprint),
                "chunk_rows": layout.target(spec).chunk_rows,
                "loss": self.losses.get(spec.name),
            }
            for spec in layout.specs
        }
        document = {
            "format": FORMAT,
            "format_version": 1 if self.checksums is None else FORMAT_VERSION,
            "kind": self.kind,
            "num_rows": layout.num_rows,
            "views_per_video": layout.views_per_video,
            "order": [spec.name for spec in layout.specs],
            "arrays": arrays,
            "columns": list(layout.columns),
            "metadata": dict(self.metadata),
            "files": dict(self.files),
            "chunks": {name: list(digests) for name, digests in self.chunks.items()},
            "content_digest": self.content_digest,
        }
        if self.checksums is not None:
            document["crc32c"] = {name: list(checksums) for name, checksums in self.checksums.items()}
        signed: dict[str, Any] = plain(document)
        return signed | {"digest": digest(signed)}

    def expected_files(self) -> Iterator[tuple[str, str]]:
        """Yield path and SHA-256 of every file of the store but the root document."""
        yield from self.files.items()
        for name, stored in self.layout.arrays().items():
            for index, sha256 in enumerate(self.chunks[name]):
                if sha256 is not None:
                    yield stored.chunk(index), sha256


def root_text(description: Mapping[str, Any]) -> str:
    """Spell the root document as it stands on disk."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": {ATTRIBUTE: description}}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def parse_root(content: bytes, name: str) -> tuple[Root, bool]:
    """Read a root document.

    Args:
        content: the bytes of the root's ``zarr.json``.
        name: what to call the store in an error.

    Returns:
        The root, and whether its bytes are those that were written (its signature and spelling agree).

    Raises:
        FormatVersionError: a newer writer made it.
        StoreError: it is not a store, or what it claims is impossible.
    """
    try:
        document = json.loads(content)["attributes"][ATTRIBUTE]
        if document["format"] != FORMAT:
            raise StoreError(f"{name}: got format {document['format']!r}; expected {FORMAT!r}")
        version = document["format_version"]
        if type(version) is not int or not OLDEST_VERSION <= version <= FORMAT_VERSION:
            age = "newer" if isinstance(version, int) and version > FORMAT_VERSION else "unknown"
            raise FormatVersionError(
                f"{name}: got format version {version!r}, {age}; "
                f"this code reads {OLDEST_VERSION} to {FORMAT_VERSION}; "
                "do: update teachonce, or build the store again"
            )
        root = _parse(document, name)
        # What was written is what this writer would write, to the last byte and with its own digest.
        intact = root_text(root.description()).encode() == content
    except StoreError:
        raise
    except (CacheError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StoreError(f"{name}: its zarr.json is damaged or not a store's: {error!r}") from error
    return root, intact


def _parse(document: Mapping[str, Any], name: str) -> Root:
    specs = tuple(
        ArraySpec(
            array,
            document["arrays"][array]["dtype"],
            tuple(document["arrays"][array]["shape"]),
            tuple(document["arrays"][array]["dims"]),
            document["arrays"][array]["fingerprint"],
        )
        for array in document["order"]
    )
    columns = tuple(document["columns"])
    for column in columns:
        check_name(column, "column")
    rows, views = document["num_rows"], document["views_per_video"]
    # A boolean is an int to Python, and here it is not.
    if type(rows) is not int or type(views) is not int or not 0 < views <= rows <= MOST_ROWS or rows % views:
        raise StoreError(f"{name}: claims {rows!r} rows of {views!r} views per video")
    names = [*(spec.name for spec in specs), *columns]
    listed = [sha256 for digests in document["chunks"].values() for sha256 in digests if sha256 is not None]
    texts = (document["kind"], document["content_digest"], *listed)
    if not specs or len(set(names)) != len(names) or not all(isinstance(text, str) for text in texts):
        raise StoreError(f"{name}: its names or digests are not what a store has")
    lists = [document["order"], document["columns"], *document["chunks"].values()]
    if not isinstance(document["metadata"], dict) or not all(isinstance(one, list) for one in lists):
        raise StoreError(f"{name}: its metadata or one of its lists is of another type")
    layout = Layout(specs, columns, rows, views)
    for spec in specs:
        if views * spec.row_bytes > MOST_CHUNK_BYTES:
            raise StoreError(f"{name}: {spec.name} claims {views * spec.row_bytes} bytes per video")
    chunks = document["chunks"]
    documents = {stored.document for stored in layout.arrays().values()}
    if set(document["files"]) != documents or set(chunks) != set(layout.arrays()):
        raise StoreError(f"{name}: the files it lists are not those of its arrays")
    for array, stored in layout.arrays().items():
        if len(chunks[array]) != stored.num_chunks:
            raise StoreError(
                f"{name}: {array} claims {stored.num_rows} rows in {stored.num_chunks} chunk files, "
                f"but lists {len(chunks[array])}"
            )
    checksums = None if document["format_version"] == 1 else dict(document["crc32c"])
    if checksums is not None and not _matches(checksums, chunks):
        raise StoreError(f"{name}: the checksums it lists are not those of its chunk files")
    losses = {spec.name: document["arrays"][spec.name]["loss"] for spec in specs if spec.lossy}
    return Root(
        document["kind"],
        layout,
        document["metadata"],
        losses,
        dict(document["files"]),
        dict(chunks),
        document["content_digest"],
        checksums,
    )


def _matches(checksums: Mapping[str, Any], chunks: Mapping[str, Sequence[str | None]]) -> bool:
    """Whether there is one checksum of eight hex digits for every chunk file, and no other."""
    return checksums.keys() == chunks.keys() and all(
        isinstance(checksums[name], list)
        and [sum_ is None for sum_ in checksums[name]] == [sha256 is None for sha256 in chunks[name]]
        and all(sum_ is None or (isinstance(sum_, str) and _CHECKSUM.fullmatch(sum_)) for sum_ in checksums[name])
        for name in chunks
    )
