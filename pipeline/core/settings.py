"""Groups of settings: validated, frozen, and explained when a value is wrong. Each stage's own lie in its room."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.errors import PipelineError, nearest

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


Positive = Annotated[float, Field(gt=0.0)]


NonNegative = Annotated[float, Field(ge=0.0)]


Count = Annotated[int, Field(ge=1)]


class SettingsError(PipelineError):
    """``params.yaml`` cannot be read, or one of its values is not allowed."""


class Section(BaseModel):
    """Base of every group of settings: frozen, no unknown keys, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Validates ``values``.

        Args:
            values: as read from YAML.
            where: the dotted place of the section in ``params.yaml``, for messages.

        Raises:
            SettingsError: lists every problem: the key, what it got, what is allowed, and the nearest right name.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = [_explain(cls, problem, where) for problem in error.errors()]
            raise SettingsError("\n".join(problems)) from None


def _explain(section: type[BaseModel], problem: Any, where: str) -> str:
    """One line for one of pydantic's problems."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join([where, *location]).strip(".")
    if problem["type"] == "extra_forbidden":
        known = _fields_at(section, problem["loc"][:-1])
        hint = nearest(location[-1], known)
        return f"{key}: unknown key; known here: {', '.join(known) or 'nothing'}{hint}"
    if problem["type"] == "missing":
        return f"{key}: missing; add it to params.yaml"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], Mapping):
        return f"{key}: {message}"
    return f"{key}: got {problem['input']!r}; {message[0].lower()}{message[1:]}"


def _fields_at(section: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The names of the keys known at ``location`` inside ``section``."""
    for part in location:
        field = section.model_fields.get(str(part))
        candidates = _models_in(field.annotation) if field else _models_in(section)
        if candidates:
            section = candidates[0]
    return sorted(section.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


class RuntimeSettings(Section):
    """What changes no result; tracked by no stage."""

    workers: Count
    """Processes that prepare, render and (on CPU) extract."""
    device: str
    """``auto``, ``cpu``, ``cuda`` or ``cuda:1``."""
    scheduler: str | None
    """Address of a dask scheduler, ``tcp://host:8786``, or null."""
    decode_timeout_seconds: Positive
    decode_memory_bytes: Annotated[int, Field(ge=1 << 28)]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's floats, as DVC reads them (``1e-3`` is a number), and no duplicate keys."""


def _mapping_without_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_YAML_FLOAT = re.compile(
    r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9_]+(?:[eE][-+]?[0-9]+)?)$"
)
