"""Reading a checkpoint file from a stranger: memory-mapped, no code run, no memory taken on the file's word.

Two containers are read, distinguished by their first bytes and not by their name: safetensors, and the zip that
``torch.save`` writes (``.pth``, ``.pt``, ``.bin``). Before either is unpacked, what its header claims is held against
the bytes that are there.
"""

import json
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.core.errors import PipelineError

_MAX_HEADER_BYTES = 64 * 2**20  # the pickle of a real checkpoint has well under one MiB
_ALLOCATORS = ("bytearray", "Tensor", "zeros", "empty", "ones")


class CheckpointError(PipelineError):
    """A checkpoint that cannot be read, or that is not this model's."""


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Reads a checkpoint file without running code from it.

    Args:
        path: a safetensors file, a file that ``torch.save`` wrote, or a folder with ``model.safetensors`` or
            ``pytorch_model.bin``.

    Returns:
        What the file holds; its tensors are views of a private memory map, so nothing is read before it is used. The
        file must not be overwritten in place while they live.

    Raises:
        CheckpointError: the file is missing, truncated, of an unknown format, claims more than it holds, or names
            anything but tensors and plain containers.
    """
    path = _file_of(path)
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[:4] == b"PK\x03\x04":
        return _read_torch(path)
    if len(head) == 9 and head[8:] == b"{":
        return _read_safetensors(path, struct.unpack("<Q", head[:8])[0])
    raise CheckpointError(
        f"{path}: got a file that starts with {head[:8]!r}, expected safetensors or a torch.save zip; a file from "
        "before torch 1.6 must be saved again with a current version, and a Git LFS pointer must be pulled"
    )


def _file_of(path: Path) -> Path:
    if path.is_dir():
        for name in ("model.safetensors", "pytorch_model.bin"):
            if (path / name).is_file():
                return path / name
        raise CheckpointError(f"{path}: the folder has neither model.safetensors nor pytorch_model.bin")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of a downloaded checkpoint")
    return path


def _read_safetensors(path: Path, header_bytes: int) -> dict[str, Tensor]:
    file_bytes = path.stat().st_size
    if header_bytes > min(file_bytes - 8, _MAX_HEADER_BYTES):
        raise CheckpointError(f"{path}: claims a header of {header_bytes} bytes in a file of {file_bytes}; truncated?")
    try:
        with path.open("rb") as stream:
            stream.seek(8)
            entries = json.loads(stream.read(header_bytes))
        for name, entry in entries.items():
            if name != "__metadata__" and 8 + header_bytes + entry["data_offsets"][1] > file_bytes:
                raise CheckpointError(f"{path}: {name} ends beyond the file of {file_bytes} bytes; download it again")
        with safe_open(path, framework="pt", device="cpu") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a sound safetensors file ({error}); download it again") from error


def _read_torch(path: Path) -> Mapping[str, Any]:
    _check_zip(path)
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[-1]
        raise CheckpointError(f"{path}: refused, it holds more than tensors and plain containers ({reason})") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise CheckpointError(f"{path}: not a sound torch.save file ({error}); download it again") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected a dictionary of tensors")
    for name, tensor in _tensors_in(content, ""):
        _check_tensor(path, name, tensor)
    return content


def _check_zip(path: Path) -> None:
    """Refuses compressed or oversized records and pickles that name code."""
    file_bytes = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            for record in archive.infolist():
                if record.compress_type != zipfile.ZIP_STORED or record.file_size > file_bytes:
                    raise CheckpointError(
                        f"{path}: record {record.filename} claims {record.file_size} bytes, compressed or beyond the "
                        f"file of {file_bytes}; torch.save writes neither"
                    )
            pickles = [record for record in archive.infolist() if record.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _MAX_HEADER_BYTES:
                raise CheckpointError(f"{path}: expected one data.pkl of at most {_MAX_HEADER_BYTES} bytes")
            names = list(_globals_of(archive.read(pickles[0])))
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, IndexError, struct.error) as error:
        raise CheckpointError(f"{path}: truncated or damaged zip ({error}); download it again") from error
    for name in names:
        module, _, attribute = name.partition(" ")
        if module.split(".")[0] not in ("torch", "collections") or attribute.endswith(_ALLOCATORS):
            raise CheckpointError(
                f"{path}: refused, its pickle names {module}.{attribute}, which is more than tensors and containers; "
                "have its author save a plain state_dict, or safetensors"
            )


def _globals_of(pickled: bytes) -> Iterator[str]:
    """Yields ``"module attribute"`` of every global that a pickle would import."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            yield f"opcode {opcode.name}"


def _tensors_in(content: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, Mapping) and prefix.count(".") < 8:
            yield from _tensors_in(value, f"{prefix}{name}.")


def _check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    """Refuses tensors that claim more elements than are stored, such as one element stretched to terabytes."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(f"{path}: {name} is a {tensor.layout} tensor on {tensor.device}, expected a plain one")
    claimed, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if claimed > stored:
        raise CheckpointError(f"{path}: {name} claims {claimed} bytes, but {stored} are stored")
