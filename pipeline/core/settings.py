"""Groups of settings: validated, frozen, and explained when a value is wrong. Each stage's own lie in its room."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.errors import PipelineError, explained, nearest
from pipeline.core.registry import UnknownName, check

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]


def file_of(room: str, *also: str) -> AfterValidator:
    """Marks a setting that names a plug-in, ``decoder: Annotated[str, file_of("video.decoders")]``.

    Any other name is refused when the settings are read, and the nearest right one is said. Nothing is imported.

    Args:
        room: as for `pipeline.core.registry.find`.
        also: names that stand for something else than a file.
    """

    def checked(name: str) -> str:
        try:
            check(room, name, also)
        except UnknownName as error:
            raise ValueError(str(error)) from None
        return name

    return AfterValidator(checked)


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
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join([where, *location]).strip(".")
    if problem["type"] == "extra_forbidden":
        known = _fields_at(section, problem["loc"][:-1])
        hint = nearest(location[-1], known)
        return f"{key}: unknown key; known here: {', '.join(known) or 'nothing'}{hint}"
    if problem["type"] == "missing":
        return f"{key}: missing; add it to params.yaml"
    return explained(problem, where=where)


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
