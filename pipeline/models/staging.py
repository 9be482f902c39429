"""Arrays to a device and back while it computes: pinned buffers, copies on a stream of their own, results a step late.

On a CPU nothing is copied and nothing runs beside the arithmetic. Values never depend on any of this: it only decides
when bytes move.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Item = TypeVar("Item")
Key = TypeVar("Key")
Arrays = dict[str, NDArray[np.float32]]


def ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Draws items on a thread, a few before they are asked for.

    Args:
        items: drawn by one thread, in order.
        depth: how many may wait; 0 draws each when it is asked for, on this thread.

    Yields:
        The items, in order; an exception of theirs comes where its item would.
    """
    if not depth:
        yield from items
        return
    source, end = iter(items), object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting = deque(thread.submit(next, source, end) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, source, end))
            yield cast(Item, item)


class Stage:
    """One device's loading ramp.

    Args:
        device: where tensors go. On CUDA they are copied from pinned memory on a stream of their own.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.overlaps = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self.overlaps else None

    @property
    def depth(self) -> int:
        """How many items are worth reading ahead."""
        return 2 if self.overlaps else 0

    def load(self, tensor: Tensor) -> Tensor:
        """Begins to bring a CPU tensor to the device; call it on the thread that reads, and `taken` before use."""
        if self._stream is None:
            return tensor.to(self.device)
        pinned = tensor.pin_memory()
        with torch.cuda.stream(self._stream):
            return pinned.to(self.device, non_blocking=True)

    def taken(self, loaded: Tensor) -> Tensor:
        """Makes the present stream wait for what was loaded, and holds its memory until that stream is done with it."""
        if self._stream is not None:
            present = torch.cuda.current_stream(self.device)
            present.wait_stream(self._stream)
            loaded.record_stream(present)
        return loaded

    def unload(self, outputs: Mapping[str, Tensor]) -> Callable[[], Arrays]:
        """Begins to bring results back.

        Args:
            outputs: on the device.

        Returns:
            A function that waits for the copies and returns float32 arrays.
        """
        if self._stream is None:
            return lambda: {name: value.float().cpu().numpy() for name, value in outputs.items()}
        copies = {}
        for name, value in outputs.items():
            wide = value.float()
            copies[name] = torch.empty(wide.shape, dtype=wide.dtype, pin_memory=True).copy_(wide, non_blocking=True)
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.device))

        def arrays() -> Arrays:
            done.synchronize()
            return {name: value.numpy().copy() for name, value in copies.items()}

        return arrays


def stream(
    batches: Iterable[tuple[Key, NDArray[np.uint8] | None]],
    work: Callable[[Key, Tensor], Mapping[str, Tensor]],
    device: torch.device,
) -> Iterator[tuple[Key, Arrays | None]]:
    """Runs a model over batches: while one is computed, the next is read and copied and the last is taken away.

    Args:
        batches: what is drawn on a reading thread: a key, and the clips, uint8 ``b t h w c``, or None where there is
            nothing to compute.
        work: from a key and clips on the device to outputs by name.
        device: where ``work`` runs.

    Yields:
        Every key, in order, with float32 arrays; None where there was nothing to compute.
    """
    stage = Stage(device)

    def loaded() -> Iterator[tuple[Key, Tensor | None]]:
        for key, clips in batches:
            yield key, None if clips is None else stage.load(torch.from_numpy(clips))

    leaving: deque[tuple[Key, Callable[[], Any]]] = deque()
    for key, clips in ahead(loaded(), stage.depth):
        if clips is None:
            leaving.append((key, _nothing))
        else:
            leaving.append((key, stage.unload(work(key, stage.taken(clips)))))
        while len(leaving) > (1 if stage.overlaps else 0):
            key_done, arrays = leaving.popleft()
            yield key_done, arrays()
    for key_done, arrays in leaving:
        yield key_done, arrays()


def _nothing() -> None:
    """The arrays of a batch that was not computed."""


def staged(batches: Iterable[Item], device: torch.device) -> Iterator[Item]:
    """Brings batches to a device, on CUDA each while the one before it is used.

    Args:
        batches: dataclasses, mappings or tensors on the CPU; what is no tensor stays as it is.
        device: where they are wanted.

    Yields:
        The batches, in order.
    """
    stage = Stage(device)
    for batch in ahead((each_tensor(batch, stage.load) for batch in batches), stage.depth):
        each_tensor(batch, stage.taken)
        yield batch


def each_tensor(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure of dataclasses and mappings with every tensor replaced by what ``function`` makes of it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {name: each_tensor(part, function) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: each_tensor(getattr(value, part.name), function) for part in fields(value)})
    return value
