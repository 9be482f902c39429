"""Reading rows from chunk files: whole arrays in RAM, memory-mapped chunks, or single rows of a video's own file.

The first time a chunk is touched all of it is read and its crc32c compared; after that its rows are read directly.
Nothing is allocated before the files on disk were seen to be as large as the metadata claims.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cache.store.chunks import CRC_BYTES, LONGEST_TEXT_BYTES, DamagedChunkError, decode_text, unseal
from cache.store.files import Files
from cache.store.layout import Stored

Array = np.ndarray[Any, Any]


class Reader:
    """Reads the arrays of one store.

    Args:
        files: where the store's files are.
        ram_bytes: the largest array that is held whole in memory.
        checksums: per array the crc32c in hex that each of its chunk files must end in; None knows of none.
    """

    def __init__(
        self, files: Files, ram_bytes: int, checksums: Mapping[str, Sequence[str | None]] | None = None
    ) -> None:
        self.files = files
        self._checksums = checksums
        self.ram_bytes = ram_bytes
        self._maps: dict[tuple[str, int], Array] = {}
        self._whole: dict[str, Array] = {}
        self._checked: set[tuple[str, int]] = set()

    def rows(self, stored: Stored, index: Array) -> Array:
        """Read rows as they are on disk.

        Args:
            stored: the array, not a text.
            index: int64, every entry a row of the array.

        Returns:
            ``(len(index), *shape)`` in the stored dtype.

        Raises:
            DamagedChunkError: a chunk is missing or its bytes changed.
        """
        if not stored.own_files and stored.num_rows * stored.row_bytes <= self.ram_bytes:
            return np.take(self.whole(stored), index, axis=0)
        chunk_of = index // stored.chunk_rows
        chunks = np.unique(chunk_of).tolist()
        for chunk in chunks:
            if (stored.name, chunk) not in self._checked:
                self._check_size(stored, chunk)
        if len(chunks) == 1 and not stored.own_files:
            gathered: Array = np.take(self._mapped(stored, chunks[0]), index - chunks[0] * stored.chunk_rows, axis=0)
            return gathered
        rows = np.empty((len(index), *stored.shape), stored.numpy_dtype)
        for chunk in chunks:
            at = np.flatnonzero(chunk_of == chunk)
            inside = index[at] - chunk * stored.chunk_rows
            if stored.own_files:
                self._read_file(stored, chunk, inside, rows, at)
            else:
                rows[at] = self._mapped(stored, chunk)[inside]
        return rows

    def whole(self, stored: Stored) -> Array:
        """Read an array once and hold it, ``(num_rows, *shape)``, read-only.

        Raises:
            DamagedChunkError: a chunk is missing or its bytes changed.
        """
        if stored.name not in self._whole:
            for chunk in range(stored.num_chunks):
                self._check_size(stored, chunk)
            whole = np.empty((stored.num_rows, *stored.shape), stored.numpy_dtype)
            for chunk in range(stored.num_chunks):
                rows = stored.rows_of(chunk)
                whole[rows.start : rows.stop] = self.chunk(stored, chunk)
            whole.flags.writeable = False
            self._whole[stored.name] = whole
        return self._whole[stored.name]

    def chunk(self, stored: Stored, chunk: int) -> Array:
        """Read and check one chunk; its rows without the padding, in the stored dtype.

        Raises:
            DamagedChunkError: it is missing or its bytes changed.
        """
        self._check_size(stored, chunk)
        values = np.frombuffer(self._load(stored, chunk), stored.numpy_dtype)
        return values.reshape(stored.chunk_rows, *stored.shape)[: len(stored.rows_of(chunk))]

    def texts(self, stored: Stored) -> list[str]:
        """Read a text array.

        Raises:
            DamagedChunkError: a chunk is missing or its bytes changed.
        """
        texts: list[str] = []
        for chunk in range(stored.num_chunks):
            name = self._name(stored, chunk)
            if self._size(stored, chunk) > LONGEST_TEXT_BYTES:
                raise DamagedChunkError(f"{name}: more than {LONGEST_TEXT_BYTES} bytes of text")
            decoded = decode_text(self._load(stored, chunk), stored.chunk_rows, name)
            texts += decoded[: len(stored.rows_of(chunk))]
        return texts

    def _name(self, stored: Stored, chunk: int) -> str:
        return f"{self.files.name}/{stored.chunk(chunk)}"

    def _size(self, stored: Stored, chunk: int) -> int:
        try:
            status = self.files.path(stored.chunk(chunk)).stat()
        except OSError as error:
            raise DamagedChunkError(f"{self._name(stored, chunk)}: missing ({error})") from error
        if not stat.S_ISREG(status.st_mode):
            raise DamagedChunkError(f"{self._name(stored, chunk)}: is not a file")
        return status.st_size

    def _check_size(self, stored: Stored, chunk: int) -> None:
        expected, size = stored.chunk_rows * stored.row_bytes + CRC_BYTES, self._size(stored, chunk)
        if size != expected:
            raise DamagedChunkError(f"{self._name(stored, chunk)}: got {size} bytes; its metadata says {expected}")

    def _load(self, stored: Stored, chunk: int) -> memoryview:
        try:
            blob = self.files.path(stored.chunk(chunk)).read_bytes()
        except OSError as error:
            raise DamagedChunkError(f"{self._name(stored, chunk)}: cannot be read ({error})") from error
        payload = unseal(blob, stored.payload_bytes, self._name(stored, chunk))
        if self._checksums is not None and blob[-CRC_BYTES:].hex() != self._checksums[stored.name][chunk]:
            raise DamagedChunkError(f"{self._name(stored, chunk)}: it is sound, but not the chunk that was written")
        self._checked.add((stored.name, chunk))
        return payload

    def _read_file(self, stored: Stored, chunk: int, inside: Array, rows: Array, at: Array) -> None:
        if (stored.name, chunk) not in self._checked:
            rows[at] = self.chunk(stored, chunk)[inside]
            return
        try:
            fd = os.open(self.files.path(stored.chunk(chunk)), os.O_RDONLY)
        except OSError as error:
            raise DamagedChunkError(f"{self._name(stored, chunk)}: cannot be read ({error})") from error
        try:
            for row, target in zip(inside.tolist(), at.tolist(), strict=True):
                if os.preadv(fd, [rows[target].data], row * stored.row_bytes) != stored.row_bytes:
                    raise DamagedChunkError(f"{self._name(stored, chunk)}: became shorter while it was read")
        finally:
            os.close(fd)

    def _mapped(self, stored: Stored, chunk: int) -> Array:
        if (stored.name, chunk) not in self._maps:
            self._load(stored, chunk)
            path = self.files.path(stored.chunk(chunk))
            shape = (stored.chunk_rows, *stored.shape)
            # A plain array over the map: indexing numpy's own class of maps costs several times as much.
            self._maps[stored.name, chunk] = np.asarray(np.memmap(path, stored.numpy_dtype, "r", 0, shape))
        return self._maps[stored.name, chunk]
