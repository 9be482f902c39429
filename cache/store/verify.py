"""Verifying a store with nothing but the store: every file, every row, every key.

Metadata and row tables are compared with their SHA-256 and with each other. The targets themselves, which are nearly
all of the bytes, are compared with the crc32c that the root document lists for each chunk file: as fast as reading.
``deep`` compares their SHA-256 too, of files and of rows; a store of version 1, which lists no crc32c, needs that.
"""

import hashlib
import itertools
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cache.store.chunks import CRC_BYTES, LONGEST_TEXT_BYTES, DamagedChunkError, decode_text, sealed, unseal
from cache.store.content import content_digest
from cache.store.errors import StoreError
from cache.store.files import Files
from cache.store.layout import LARGEST_ROOT_BYTES, MOST_CHUNK_BYTES, ROOT, TEXT, Root, Stored, parse_root
from cache.store.specs import FAILED, OK

Array = np.ndarray[Any, Any]
NAMED_VIDEOS = 8
LONGEST_DOCUMENT_BYTES = 1 << 20
UNEXPECTED = "does not belong to the store"


class Problem(str):
    """One thing that is wrong with a store: a text for people, with what it concerns for programs.

    Attributes:
        what: what is wrong.
        array: the array concerned, empty for the store as such.
        chunk: the file concerned, by its path in the store; empty when it is not one file.
        videos: the videos concerned, as far as they are known.
    """

    what: str
    array: str
    chunk: str
    videos: tuple[str, ...]

    def __new__(cls, what: str, array: str = "", chunk: str = "", videos: tuple[str, ...] = ()) -> "Problem":
        """Spell the problem."""
        shown = ", ".join(videos[:NAMED_VIDEOS])
        more = f" and {len(videos) - NAMED_VIDEOS} more" if len(videos) > NAMED_VIDEOS else ""
        concerned = f" (videos: {shown}{more})" if videos else ""
        problem = super().__new__(cls, f"{chunk or array or 'store'}: {what}{concerned}")
        problem.what, problem.array, problem.chunk, problem.videos = what, array, chunk, videos
        return problem

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.what, self.array, self.chunk, self.videos

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON."""
        return {"what": self.what, "array": self.array, "chunk": self.chunk, "videos": list(self.videos)}


def verify(files: Files, *, deep: bool = False) -> list[Problem]:
    """Read all of a store and list what is wrong with it.

    Args:
        files: the store.
        deep: compare the SHA-256 of every chunk file and every row too.

    Returns:
        The problems, in the order of the files; empty when there are none.
    """
    try:
        path = files.path(ROOT)
        if path.exists() and not path.is_file():
            return [Problem("is not a file", chunk=ROOT)]
        if path.stat().st_size > LARGEST_ROOT_BYTES:
            return [Problem("is larger than any store's", chunk=ROOT)]
        root, intact = parse_root(path.read_bytes(), files.name)
    except OSError as error:
        return [Problem(f"cannot be read ({error})", chunk=ROOT)]
    except StoreError as error:
        return [Problem(str(error), chunk=ROOT)]
    edited = [] if intact else [Problem("was changed after writing: its own digest does not match", chunk=ROOT)]
    return edited + list(_Verifier(files, root, deep=deep).problems())


def _read_file(path: Path, limit: int) -> bytes:
    """Read a regular file whole, in as few calls as there can be.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is no regular file, empty, or larger than ``limit``; the text says so.
    """
    # Without blocking: somebody may have put a pipe there.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a file")
        if status.st_size > limit:
            raise ValueError(f"has {status.st_size} bytes, more than such a file may")
        if not status.st_size:
            raise ValueError("is empty")
        content = os.read(fd, status.st_size)
        while len(content) < status.st_size and (more := os.read(fd, status.st_size - len(content))):
            content += more
        return content
    finally:
        os.close(fd)


def _wrong_size(size: int, expected: int) -> str:
    return f"is {'truncated' if size < expected else 'too long'}: {size} bytes, expected {expected}"


class _Verifier:
    """One pass over a store.

    Args:
        files: the store.
        root: its root document.
        deep: whether the targets' SHA-256 are compared.
    """

    def __init__(self, files: Files, root: Root, *, deep: bool) -> None:
        self.files, self.root, self.layout = files, root, root.layout
        self.deep = deep or root.checksums is None
        self.arrays = self.layout.arrays()
        self.texts: dict[str, list[str]] = {}
        self.tables: dict[str, Array] = {}

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong: files first, then tables, then rows."""
        yield from self._unexpected()
        for name, stored in self.arrays.items():
            yield from self._document(name, stored)
        for name, stored in self.layout.table().items():
            yield from self._table(name, stored)
        complete = self.texts.keys() | self.tables.keys() == self.layout.table().keys()
        if complete:
            yield from self._keys()
            yield from self._statuses()
            yield from self._content()
        for spec in self.layout.specs:
            yield from self._rows(self.arrays[spec.name]) if self.deep else self._chunks(self.arrays[spec.name])

    def _videos(self, rows: Sequence[int] | range) -> tuple[str, ...]:
        ids = self.texts.get("video_id")
        if ids is None:
            return ()
        return tuple(dict.fromkeys(ids[row] for row in rows))

    def _unexpected(self) -> Iterator[Problem]:
        expected = {ROOT, *(path for path, _ in self.root.expected_files())}
        for path in sorted(set(self.files.listing()) - expected):
            array = path.split("/")[0]
            yield Problem(UNEXPECTED, array if array in self.arrays else "", path)

    def _read(self, path: str, limit: int) -> bytes | str:
        """Return a file's content, or why it cannot be had."""
        try:
            return _read_file(self.files.path(path), limit)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error})"
        except ValueError as error:
            return str(error)

    def _read_as_written(self, path: str, sha256: str | None, limit: int) -> bytes | str:
        content = self._read(path, limit)
        if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() != sha256:
            return "changed after writing: its digest does not match"
        return content

    def _document(self, name: str, stored: Stored) -> Iterator[Problem]:
        content = self._read_as_written(stored.document, self.root.files[stored.document], LONGEST_DOCUMENT_BYTES)
        if isinstance(content, str):
            yield Problem(content, name, stored.document)
            return
        try:
            document = json.loads(content)
            shape = [stored.num_rows, *stored.shape]
            chunk_shape = [stored.chunk_rows, *stored.shape]
            agrees = (
                document["shape"] == shape
                and document["data_type"] == stored.dtype
                and document["chunk_grid"]["configuration"]["chunk_shape"] == chunk_shape
            )
        except (ValueError, KeyError, TypeError):
            agrees = False
        if not agrees:
            yield Problem("does not describe the array that the root document does", name, stored.document)

    def _chunk(self, stored: Stored, index: int) -> memoryview | Problem:
        path = stored.chunk(index)
        videos = self._videos(stored.rows_of(index))
        payload = stored.payload_bytes
        if payload is not None:
            file = self.files.path(path)
            size = file.stat().st_size if file.is_file() else 0
            if size and size != payload + CRC_BYTES:
                return Problem(_wrong_size(size, payload + CRC_BYTES), stored.name, path, videos)
        limit = LONGEST_TEXT_BYTES if payload is None else payload + CRC_BYTES
        content = self._read_as_written(path, self.root.chunks[stored.name][index], limit)
        if isinstance(content, str):
            return Problem(content, stored.name, path, videos)
        if self.root.checksums is not None and content[-CRC_BYTES:].hex() != self.root.checksums[stored.name][index]:
            return Problem("does not end in the checksum listed for it", stored.name, path, videos)
        try:
            return unseal(content, payload, path)
        except DamagedChunkError as error:
            return Problem(str(error), stored.name, path, videos)

    def _table(self, name: str, stored: Stored) -> Iterator[Problem]:
        texts: list[str] = []
        blocks: list[Array] = []
        bad = False
        for index in range(stored.num_chunks):
            payload = self._chunk(stored, index)
            if isinstance(payload, Problem):
                bad = True
                yield payload
                continue
            num_rows = len(stored.rows_of(index))
            if stored.dtype != TEXT:
                values = np.frombuffer(payload, stored.numpy_dtype).reshape(stored.chunk_rows, *stored.shape)
                blocks.append(values[:num_rows])
                continue
            try:
                texts += decode_text(payload, stored.chunk_rows, stored.chunk(index))[:num_rows]
            except DamagedChunkError as error:
                bad = True
                yield Problem(str(error), name, stored.chunk(index))
        if not bad and stored.dtype == TEXT:
            self.texts[name] = texts
        elif not bad:
            self.tables[name] = np.concatenate(blocks)

    def _keys(self) -> Iterator[Problem]:
        ids, views = self.texts["video_id"], self.layout.views_per_video
        firsts = ids[::views]
        for before, after in itertools.pairwise(firsts):
            if before >= after:
                yield Problem("keys are out of order: videos must ascend", "video_id", videos=(before, after))
        split = [row for row in range(len(ids)) if ids[row] != firsts[row // views]]
        if split:
            yield Problem(f"rows of one video are apart at row {split[0]}", "video_id", videos=self._videos(split))
        expected = np.tile(np.arange(views), len(firsts))
        wrong = np.flatnonzero(self.tables["view"] != expected)
        if wrong.size:
            yield Problem(f"keys are out of order: view at row {wrong[0]}", "view", videos=self._videos(wrong.tolist()))
        for name in ("video_digest", "source_digest"):
            values = self.texts[name]
            wrong_rows = [row for row in range(len(values)) if values[row] != values[row - row % views]]
            if wrong_rows:
                yield Problem("differs between views of one video", name, videos=self._videos(wrong_rows))

    def _statuses(self) -> Iterator[Problem]:
        status, reasons = self.tables["status"], self.texts["reason"]
        unknown = np.flatnonzero((status != OK) & (status != FAILED))
        if unknown.size:
            counts = dict(Counter(status[unknown].tolist()))
            yield Problem(f"has values other than 1 and 2: {counts}", "status", videos=self._videos(unknown.tolist()))
        wrong = [row for row in range(len(status)) if (status[row] == FAILED) != bool(reasons[row])]
        if wrong:
            yield Problem("does not match the reasons for failure", "status", videos=self._videos(wrong))
        for spec in self.layout.specs:
            stored = self.arrays[spec.name]
            if not stored.own_files:
                continue
            there = np.array([sha256 is not None for sha256 in self.root.chunks[spec.name]])
            good = (status == OK).reshape(-1, stored.chunk_rows).all(1)
            for index in np.flatnonzero(there != good).tolist():
                videos = self._videos(stored.rows_of(index))
                yield Problem("its status does not match its file", spec.name, stored.chunk(index), videos)

    def _content(self) -> Iterator[Problem]:
        hashed = {name: values for name, values in self.tables.items() if not name.endswith("_loss")}
        if content_digest(self.root.kind, self.layout, self.texts, hashed) != self.root.content_digest:
            yield Problem("the content is not that of the content digest")

    def _chunks(self, stored: Stored) -> Iterator[Problem]:
        """Compare every chunk file of a target with its size and the crc32c listed for it."""
        assert self.root.checksums is not None
        expected = (stored.payload_bytes or 0) + CRC_BYTES
        for index, checksum in enumerate(self.root.checksums[stored.name]):
            if checksum is None:
                continue
            path = stored.chunk(index)
            content = self._read(path, max(expected, MOST_CHUNK_BYTES))
            if isinstance(content, str):
                what = content
            elif len(content) != expected:
                what = _wrong_size(len(content), expected)
            elif not sealed(content):
                what = "the stored checksum does not match; its bytes changed after writing"
            elif content[-CRC_BYTES:].hex() != checksum:
                what = "changed after writing: it is sound, but not the chunk that was written"
            else:
                continue
            yield Problem(what, stored.name, path, self._videos(stored.rows_of(index)))

    def _rows(self, stored: Stored) -> Iterator[Problem]:
        digests, status = self.tables.get(f"{stored.name}_sha256"), self.tables.get("status")
        for index in range(stored.num_chunks):
            if self.root.chunks[stored.name][index] is None:
                continue
            payload = self._chunk(stored, index)
            if isinstance(payload, Problem):
                yield payload
                continue
            if digests is None or status is None:
                continue
            wrong = []
            for row in stored.rows_of(index):
                at = (row - index * stored.chunk_rows) * stored.row_bytes
                value = payload[at : at + stored.row_bytes]
                if status[row] == OK:
                    right = hashlib.sha256(value).digest() == digests[row].tobytes()
                else:
                    right = not any(value) and not digests[row].any()
                if not right:
                    wrong.append(row)
            if wrong:
                what = f"row {wrong[0]} does not have the digest listed for it"
                yield Problem(what, stored.name, stored.chunk(index), self._videos(wrong))
