"""The four names of transformers that the encoder is built on, for a Python that has torch and no transformers.

Only what running and initialising a model takes: no loading, no saving, no registry. Where transformers is installed it
is used, and nothing here is.
"""

import importlib.util
import sys
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import Any

import torch
from torch import nn


class Config:
    """Stands for ``PretrainedConfig``: each subclass is a dataclass of its annotated fields."""

    def __init_subclass__(cls) -> None:
        dataclass(cls, eq=False)

    def __post_init__(self, **kwargs: Any) -> None:
        """Takes nothing beside the fields."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)  # type: ignore[call-overload]


class Model(nn.Module):
    """Stands for ``PreTrainedModel``."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def post_init(self) -> None:
        """Gives every module its initial value."""
        self.apply(self._init_weights)


class Output:
    """Stands for ``ModelOutput``."""

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of each field that is not None."""
        told = [(field.name, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        return [(name, value) for name, value in told if value is not None]


class Registry:
    """Stands for ``AutoConfig`` and ``AutoModel``."""

    @staticmethod
    def register(*_: Any) -> None:
        """Registers nothing."""


def stand_in() -> bool:
    """Puts the names in place where transformers is missing; returns whether it was."""
    if "transformers" in sys.modules or importlib.util.find_spec("transformers") is not None:
        return False
    transformers, tools = ModuleType("transformers"), ModuleType("transformers.utils")
    init = ModuleType("transformers.initialization")
    for name in ("trunc_normal_", "zeros_", "ones_", "constant_"):
        setattr(init, name, getattr(nn.init, name))
    init.copy_ = torch.no_grad()(lambda target, value: target.copy_(value))  # type: ignore[attr-defined]
    tools.ModelOutput = Output  # type: ignore[attr-defined]
    names = {"PretrainedConfig": Config, "PreTrainedModel": Model, "AutoConfig": Registry, "AutoModel": Registry}
    for name, value in (names | {"initialization": init, "utils": tools}).items():
        setattr(transformers, name, value)
    sys.modules |= {
        "transformers": transformers,
        "transformers.utils": tools,
        "transformers.initialization": init,
    }
    return True
