"""What a model needs of transformers' base classes to run, and nothing more: see `pipeline.models.bases`.

A model made of these computes what it computes as a transformers model, from the same files. It cannot be saved, comes
from a folder only, and is in no registry.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

import torch
from torch import nn


def _copy(target: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return target.copy_(value)


init = SimpleNamespace(
    **{name: getattr(nn.init, name) for name in ("trunc_normal_", "zeros_", "ones_", "constant_")}, copy_=_copy
)
"""Stands for ``transformers.initialization``."""


class PretrainedConfig:
    """Each subclass is a dataclass of its annotated fields."""

    def __init_subclass__(cls) -> None:
        dataclass(cls, eq=False)

    def __post_init__(self, **kwargs: Any) -> None:
        """Takes nothing beside the fields."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads a ``config.json``; what transformers adds to it is left out."""
        known = {field.name for field in fields(cast(Any, cls))}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        values: dict[str, Any] = asdict(cast(Any, self))
        return values


class PreTrainedModel(nn.Module):
    """A module with a configuration that can be read from a folder."""

    config_class: ClassVar[type[PretrainedConfig]]

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return next(self.parameters()).device

    def post_init(self) -> None:
        """Gives every module its initial value."""
        self.init_weights()

    def init_weights(self) -> None:
        """Likewise; a subclass without ``_init_weights`` leaves them alone."""
        self.apply(getattr(self, "_init_weights", lambda module: None))

    @classmethod
    def from_pretrained(
        cls, folder: str, *, output_loading_info: bool = True, use_safetensors: bool = True
    ) -> tuple[Self, dict[str, list[str]]]:
        """Reads a folder that ``save_pretrained`` of transformers wrote.

        Args:
            folder: with ``config.json`` and ``model.safetensors``.
            output_loading_info: True; there is no other way here.
            use_safetensors: True; likewise.

        Returns:
            The model, and the names of weights that do not fit; with any of these, no weight was taken.
        """
        from safetensors.torch import load_file

        if not (output_loading_info and use_safetensors):
            raise ValueError("got False for an option; plain models are read from safetensors, with a report")
        place = Path(folder)
        model = cls(cls.config_class.from_dict(json.loads((place / "config.json").read_text(encoding="utf-8"))))
        weights, own = load_file(place / "model.safetensors"), model.state_dict()
        info = {
            "missing_keys": sorted(own.keys() - weights.keys()),
            "unexpected_keys": sorted(weights.keys() - own.keys()),
            "mismatched_keys": sorted(
                key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape
            ),
        }
        if not any(info.values()):
            model.load_state_dict(weights)
        return model, info


class ModelOutput:
    """Several tensors by name."""

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of each field that is not None."""
        shown = [(field.name, getattr(self, field.name)) for field in fields(cast(Any, self))]
        return [(name, value) for name, value in shown if value is not None]


class _NoRegistry:
    """Stands for ``AutoConfig`` and ``AutoModel``."""

    @staticmethod
    def register(*_: Any) -> None:
        """Registers nothing."""


AutoConfig = AutoModel = _NoRegistry
