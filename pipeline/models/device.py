"""The device that computes, and arithmetic that gives the same result each time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic as torch_deterministic

from pipeline.core.errors import PipelineError

_SETTING: Any = torch_deterministic  # its attribute is made at run time, unknown to type checkers


class DeviceError(PipelineError):
    """``runtime.device`` names a device that this machine does not have."""


def resolve_device(name: str) -> torch.device:
    """The device that ``runtime.device`` names.

    Args:
        name: ``auto`` (CUDA where there is one, else the CPU), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        DeviceError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"runtime.device: got {name!r}; expected auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"runtime.device: got {name!r}; this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def be_deterministic(*, warn_only: bool = False) -> None:
    """Chooses deterministic kernels, and does not have torch fill each new tensor with NaN as it then does.

    The filling finds kernels that read what nobody wrote; it takes a quarter of the time of a small student's step.
    """
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    _SETTING.fill_uninitialized_memory = False
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def reproducible(*, seed: int, threads: int) -> Iterator[None]:
    """Makes torch repeatable inside the block, and puts back what it found.

    On CUDA an operation without a deterministic kernel warns instead of failing.

    Args:
        seed: of torch's global generators, which dropout and initial values use.
        threads: CPU threads; sums are not associative, so their number is part of the result.
    """
    before = torch.get_num_threads()
    filled = _SETTING.fill_uninitialized_memory
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    be_deterministic(warn_only=torch.cuda.is_available())
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(was_deterministic, warn_only=warned_only)
        _SETTING.fill_uninitialized_memory = filled
