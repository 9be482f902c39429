"""The official key tables, and random checkpoints in the official layouts at a small size."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline.models.internvideo2 import InternVideo2Config
from tests.imports import ROOT

GOLDEN = ROOT / "tests/golden"
TABLES: dict[str, dict[str, Any]] = json.loads((GOLDEN / "internvideo2_keys.json").read_text())["tables"]

SMALL = {
    "embed_dim": 64,
    "depth": 2,
    "num_heads": 4,
    "mlp_ratio": 48 / 11,
    "num_frames": 4,
    "image_size": 42,
    "pool_dim": 32,
    "pool_num_heads": 8,
}
_SMALLER = {1408: 64, 4224: 192, 6144: 279, 768: 32, 3200: 48, 400: 7, 2049: 37, 1025: 37, 4097: 37, 2048: 36, 257: 10}
_SMALLER_S14 = {384: 64, 1152: 192, 1536: 279, 768: 32, 1408: 48, 2049: 37, 400: 7}


def small_config(**overrides: Any) -> InternVideo2Config:
    return InternVideo2Config(**{**SMALL, **overrides})


def table(name: str) -> dict[str, tuple[int, ...]]:
    """Returns the official keys and shapes of a file."""
    entry = TABLES[name]
    shapes = {key: tuple(shape) for key, shape in entry["outside"].items()}
    for index in range(entry["depth"]):
        shapes |= {f"blocks.{index}.{key}": tuple(shape) for key, shape in entry["block"].items()}
    assert len(shapes) == entry["num_keys"]
    return shapes


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) * 0.1 + (1.0 if name.endswith("norm.weight") else 0.0)
        for name, shape in shapes.items()
    }


def small_tensors(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Returns random tensors with a table's keys, at the size of :func:`small_config`: two blocks, narrow, 4 frames."""
    smaller = _SMALLER_S14 if "S14" in name else _SMALLER
    shapes = {
        key: tuple(smaller.get(size, size) for size in shape)
        for key, shape in table(name).items()
        if not key.startswith("blocks.") or int(key.split(".")[1]) < SMALL["depth"]
    }
    return random_tensors(shapes, seed)


def prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
