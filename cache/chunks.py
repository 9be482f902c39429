"""Chunk files: raw little-endian rows, or length-prefixed text, followed by a crc32c of four bytes.

They are what zarr-python writes for ``compressors=[Crc32cCodec()]``; a test compares the two byte for byte.

Ref: Zarr v3 core, the ``crc32c`` codec; zarr-extensions, the ``vlen-utf8`` codec. Castagnoli's polynomial, RFC 3720.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import google_crc32c

from cache.errors import DiskError, StoreError

CRC_BYTES = 4
LONGEST_TEXT_BYTES = 1 << 30


class DamagedChunkError(StoreError):
    """A chunk's bytes are not those that were written."""


def checksum(payload: bytes | memoryview) -> bytes:
    """Return the crc32c of a payload as four little-endian bytes."""
    return int(google_crc32c.value(bytes(payload))).to_bytes(CRC_BYTES, "little")


def seal(payload: bytes) -> bytes:
    """Append the checksum to a payload."""
    return payload + checksum(payload)


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
    if checksum(payload) != blob[-CRC_BYTES:]:
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
    texts, at = [], 4
    for _ in range(num_items):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise DamagedChunkError(f"{name}: a text runs over the end of the chunk")
        try:
            texts.append(data[at + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise DamagedChunkError(f"{name}: a text is not UTF-8 ({error})") from error
        at = end
    if at != len(data):
        raise DamagedChunkError(f"{name}: {len(data) - at} bytes too many")
    return texts


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            "do: free space or correct the permissions and run again; rows that were finished are kept"
        ) from error
