"""Chunk files: raw little-endian rows, or length-prefixed text, followed by a crc32c of four bytes.

They are what zarr-python writes for ``compressors=[Crc32cCodec()]``; a test compares the two byte for byte.

Ref: Zarr v3 core, the ``crc32c`` codec; zarr-extensions, the ``vlen-utf8`` codec. Castagnoli's polynomial, RFC 3720.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import google_crc32c

from cache.store.errors import DiskError, StoreError

CRC_BYTES = 4
RESIDUE = 0x48674BC7
"""The crc32c of any payload together with its own crc32c."""
LONGEST_TEXT_BYTES = 1 << 30
_LENGTH = struct.Struct("<I")


class DamagedChunkError(StoreError):
    """A chunk's bytes are not those that were written."""


def checksum(payload: bytes | memoryview) -> bytes:
    """Return the crc32c of a payload as four little-endian bytes."""
    return int(google_crc32c.value(bytes(payload))).to_bytes(CRC_BYTES, "little")


def seal(payload: bytes) -> bytes:
    """Append the checksum to a payload."""
    return payload + checksum(payload)


def sealed(blob: bytes) -> bool:
    """Whether a file's last four bytes are the crc32c of all before them."""
    return len(blob) >= CRC_BYTES and google_crc32c.value(blob) == RESIDUE


def trailer(path: Path) -> str:
    """Return a chunk file's last four bytes in hex, as the root document lists them.

    Raises:
        OSError: the file cannot be read, or is shorter.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(-CRC_BYTES, os.SEEK_END)
        return file.read(CRC_BYTES).hex()


def unseal(blob: bytes, num_bytes: int | None, name: str) -> memoryview:
    """Check a chunk file's content and return its payload.

    Args:
        blob: the whole file.
        num_bytes: what the payload must measure, or None where the content says so itself (text).
        name: what to call the chunk in an error.

    Raises:
        DamagedChunkError: too short, too long, or the checksum disagrees.
    """
    if num_bytes is not None and len(blob) != num_bytes + CRC_BYTES:
        raise DamagedChunkError(f"{name}: got {len(blob)} bytes; expected {num_bytes + CRC_BYTES}")
    if len(blob) < CRC_BYTES:
        raise DamagedChunkError(f"{name}: got {len(blob)} bytes; expected a checksum of {CRC_BYTES}")
    payload = memoryview(blob)[:-CRC_BYTES]
    # One pass over the file as it is: cutting the payload out would copy it, which costs more than the checksum.
    if not sealed(blob):
        raise DamagedChunkError(f"{name}: the stored checksum does not match; its bytes changed after writing")
    return payload


def decode_text(payload: memoryview, num_items: int, name: str) -> list[str]:
    """Read a ``vlen-utf8`` payload: a count, then per item a length and UTF-8 bytes (all lengths uint32, little).

    Raises:
        DamagedChunkError: the counts and lengths do not add up.
    """
    data = bytes(payload)
    if int.from_bytes(data[:4], "little") != num_items or len(data) < 4 * (num_items + 1):
        raise DamagedChunkError(f"{name}: expected {num_items} texts; its counts say otherwise")
    texts, at, length_at = [], 4, _LENGTH.unpack_from
    try:
        for _ in range(num_items):
            end = at + 4 + length_at(data, at)[0]
            if end > len(data):
                raise DamagedChunkError(f"{name}: a text runs over the end of the chunk")
            texts.append(data[at + 4 : end].decode())
            at = end
    except struct.error as error:
        raise DamagedChunkError(f"{name}: the chunk ends before its texts do") from error
    except UnicodeDecodeError as error:
        raise DamagedChunkError(f"{name}: a text is not UTF-8 ({error})") from error
    if at != len(data):
        raise DamagedChunkError(f"{name}: {len(data) - at} bytes too many")
    return texts


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an operating system's refusal to write into an error that says what to do.

    Raises:
        DiskError: the block met a full, read-only or forbidden disk.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"could not {doing}: {error}; "
            "do: free space or correct the permissions and run again; rows that were finished stay in the pool"
        ) from error
