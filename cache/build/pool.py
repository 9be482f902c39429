"""The pool: finished rows, named by how they were made and what they were made from.

``<pool>/<recipe>/<kk>/<key>.rows`` is a finished chunk file, and ``<key>.json`` beside it says what it holds: it is
written last, so rows without it do not count. Nothing here is ever changed in place. Every byte is checked when it is
taken out again; damage is logged, removed and treated as absence.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cache.store.chunks import CRC_BYTES, disk_errors, seal, unseal
from cache.store.errors import PoolError, SpecError
from cache.store.files import READ_ONLY, distrust, file_digest
from cache.store.fingerprint import canonical, digest
from cache.store.lock import Lock
from cache.store.precision import Stored
from cache.store.replacing import replacing
from cache.store.scratch import scratch_folder
from cache.store.specs import ArraySpec, Unit

logger = logging.getLogger(__name__)
LONGEST_SIDECAR_BYTES = 64 << 20
COPY_BYTES = 4 << 20


@dataclass(frozen=True)
class Entry:
    """One unit's finished rows of one array.

    Attributes:
        path: chunk file: the rows, then their crc32c.
        sha256: digest of that file.
        row_sha256: digest of each row's bytes.
        loss: per row (cosine, largest absolute error), or None where nothing was rounded.
        columns: text per row.
    """

    path: Path
    sha256: str
    row_sha256: list[str]
    loss: list[list[float]] | None
    columns: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, spec: ArraySpec) -> np.ndarray[Any, Any]:
        """Read the rows, ``(num_rows, *shape)`` in the stored dtype.

        Raises:
            DamagedChunkError: the bytes changed.
        """
        payload = unseal(self.path.read_bytes(), len(self.row_sha256) * spec.row_bytes, str(self.path))
        return np.frombuffer(payload, spec.stored_dtype).reshape(len(self.row_sha256), *spec.shape)

    def sidecar(self, spec: ArraySpec, unit: Unit) -> dict[str, Any]:
        """Return what is written beside the rows."""
        described: dict[str, Any] = {
            "recipe": spec.recipe,
            "source": unit.source,
            "num_rows": unit.num_rows,
            "sha256": self.sha256,
            "row_sha256": self.row_sha256,
            "loss": self.loss,
            "columns": self.columns,
        }
        return described | {"digest": digest(described)}


def row_digests(rows: np.ndarray[Any, Any]) -> list[str]:
    """Return the SHA-256 (hex) of each row's bytes."""
    return [hashlib.sha256(np.ascontiguousarray(row).data).hexdigest() for row in rows]


def place(source: Path, target: Path) -> None:
    """Give a finished file a second name, by hard link where the disk allows it, else by copy.

    Raises:
        OSError: the disk refuses both.
    """
    source = source.resolve()
    try:
        os.link(source, target)
    except OSError:
        # Never into a file that is there: it might be another name of one that must not change.
        with source.open("rb") as old, target.open("xb") as new:
            shutil.copyfileobj(old, new, COPY_BYTES)


class Pool:
    """A folder of finished rows.

    Args:
        root: the folder; made when first written to.
        durable: whether a finished row is forced to the disk before it counts.
    """

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = True) -> None:
        self.root = Path(root)
        self.durable = durable

    @classmethod
    def locate(cls, start: str | os.PathLike[str] = ".") -> "Pool":
        """Find the pool of the project that ``start`` is in."""
        return cls(scratch_folder(start) / "pool")

    def recipe_folder(self, spec: ArraySpec) -> Path:
        """Return where an array's rows are."""
        return self.root / spec.recipe

    def paths(self, spec: ArraySpec, unit: Unit) -> tuple[Path, Path]:
        """Return where a unit's chunk file and its description are."""
        folder = self.recipe_folder(spec) / unit.key[:2]
        return folder / f"{unit.key}.rows", folder / f"{unit.key}.json"

    @contextmanager
    def locked(self, specs: Sequence[ArraySpec], wait_seconds: float | None = None) -> Iterator[None]:
        """Keep every other run from computing or collecting the rows of these arrays.

        Raises:
            PoolError: the pool can be neither written nor locked.
            LockTimeoutError: another run held it for longer than ``wait_seconds``.
        """
        with ExitStack() as stack:
            for spec in sorted(specs, key=lambda spec: spec.recipe):
                folder = self.recipe_folder(spec)
                try:
                    self._make_folder(folder)
                    self._describe(spec)
                    stack.enter_context(Lock(folder / "lock", wait_seconds))
                except OSError as error:
                    raise PoolError(
                        f"cannot use the pool {self.root}: {error}; do: correct its permissions or free space; "
                        "finished rows stay in the pool"
                    ) from error
            yield

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self.root:
            self._make_folder(folder.parent if folder.parent != folder else self.root)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        if folder != self.root:
            # Two users share a pool whose root is group-writable: what is made inside must be so too.
            with contextlib.suppress(PermissionError):
                folder.chmod(self.root.stat().st_mode & 0o7777)

    def _describe(self, spec: ArraySpec) -> None:
        about = self.recipe_folder(spec) / "recipe.json"
        if not about.exists():
            self._write(about, canonical(spec.identity).encode(), durable=self.durable)

    def _write(self, target: Path, content: bytes, *, durable: bool) -> None:
        with replacing(target, durable=durable) as fresh:
            fresh.write_bytes(content)
            fresh.chmod(READ_ONLY)

    def put(
        self,
        spec: ArraySpec,
        unit: Unit,
        stored: Stored,
        columns: Mapping[str, Sequence[str]],
        *,
        adopted: bool = False,
    ) -> Entry:
        """Keep a unit's finished rows.

        Args:
            spec: the array.
            unit: the video.
            stored: its rows and their loss.
            columns: its text.
            adopted: whether an older store has the same rows, so that nothing need wait for the disk.

        Raises:
            DiskError: they cannot be written.
        """
        content = seal(stored.rows.tobytes())
        chunk, about = self.paths(spec, unit)
        entry = Entry(
            path=chunk,
            sha256=hashlib.sha256(content).hexdigest(),
            row_sha256=row_digests(stored.rows),
            loss=None if stored.loss is None else [list(pair) for pair in stored.loss],
            columns={name: list(texts) for name, texts in columns.items()},
        )
        with disk_errors(f"store the rows of {unit.video_id} in the pool {self.root}"):
            self._make_folder(chunk.parent)
            durable = self.durable and not adopted
            self._write(chunk, content, durable=durable)
            self._write(about, canonical(entry.sidecar(spec, unit)).encode(), durable=durable)
        return entry

    def link(self, spec: ArraySpec, unit: Unit, entry: Entry) -> Entry:
        """Keep a finished chunk file that lies elsewhere, and whose bytes the caller has checked.

        Raises:
            DiskError: it cannot be written.
        """
        chunk, about = self.paths(spec, unit)
        with disk_errors(f"store the rows of {unit.video_id} in the pool {self.root}"):
            self._make_folder(chunk.parent)
            with replacing(chunk) as fresh:
                place(entry.path, fresh)
            self._write(about, canonical(entry.sidecar(spec, unit)).encode(), durable=False)
        return Entry(chunk, entry.sha256, entry.row_sha256, entry.loss, entry.columns)

    def find(self, spec: ArraySpec, unit: Unit) -> Entry | None:
        """Take out a unit's rows of an array, after checking every byte; None when they are absent or damaged."""
        chunk, about = self.paths(spec, unit)
        try:
            entry = self._read(spec, unit, chunk, about)
            if entry is None:
                return None
            if chunk.stat().st_size != unit.num_rows * spec.row_bytes + CRC_BYTES or file_digest(chunk) != entry.sha256:
                raise ValueError("its bytes changed after writing")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PoolError(
                f"cannot read the pool {self.root}: {error}; do: correct its permissions, or name another pool"
            ) from error
        except (ValueError, SpecError, RecursionError) as error:
            logger.warning("pooled %s of %s is damaged (%s): not used", spec.name, unit.video_id, error)
            self._discard(chunk, about)
            return None
        with contextlib.suppress(OSError):
            os.utime(about)
        return entry

    @staticmethod
    def _discard(chunk: Path, about: Path) -> None:
        distrust(chunk)
        with contextlib.suppress(OSError):
            about.unlink(missing_ok=True)
            chunk.unlink(missing_ok=True)

    @staticmethod
    def _read(spec: ArraySpec, unit: Unit, chunk: Path, about: Path) -> Entry | None:
        if about.stat().st_size > LONGEST_SIDECAR_BYTES:
            raise ValueError(f"a description of more than {LONGEST_SIDECAR_BYTES} bytes")
        found = json.loads(about.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("its description is not a mapping")
        signed = found.pop("digest", None)
        if signed != digest(found):
            raise ValueError("its description changed after writing")
        if (found["recipe"], found["source"], found["num_rows"]) != (
            spec.recipe,
            unit.source,
            unit.num_rows,
        ):
            raise ValueError("it describes other rows")
        return Entry(chunk, found["sha256"], found["row_sha256"], found["loss"], found["columns"])

    def check_writable(self, spec: ArraySpec) -> None:
        """Find out before computing whether rows can be stored.

        Raises:
            PoolError: they cannot.
        """
        try:
            with tempfile.TemporaryFile(dir=self.recipe_folder(spec)) as file:
                file.write(b"\0" * 4096)
        except OSError as error:
            raise PoolError(
                f"rows are missing, and the pool {self.root} cannot be written: {error}; "
                "do: correct its permissions or free space; finished rows stay in the pool"
            ) from error
