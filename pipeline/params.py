"""The settings of a run: ``params.yaml``, one section per stage, read into frozen and validated models.

Every key has its value in ``params.yaml``; what a key means, its unit and its range stand here, beside its type. An
unknown key is an error that names the nearest known one. The section ``runtime`` holds what changes no result, and no
stage tracks it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import PipelineError, nearest

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


class Split(Section):
    """Shares of the contents that validation and test get; the rest is training."""

    val: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.val + self.test >= 1.0:
            raise ValueError(
                f"val + test is {self.val + self.test:g}, which leaves nothing to train on; lower one of them"
            )
        return self


class PrepareSettings(Section):
    """Which data sets, how they are split, and how many labels are used."""

    dataset: str
    """A file of ``pipeline/datasets/``; ``combined`` joins several."""
    options: dict[str, dict[str, Any]]
    """Data set name → that data set's own settings; only the selected one's are read."""
    seed: int
    """Of the split by content and of the choice of labelled contents."""
    split: Split
    labelled_fraction: Fraction
    """Share of the training contents whose MOS may be used; the others keep videos and targets only."""


class ViewSet(Section):
    """One way to look at a video: which frames, and which part of them."""

    policy: Literal["teacher", "resize", "squash", "crop", "fragments"]
    """``teacher`` takes everything that is left out here from the preprocessing of ``adapt.teacher``."""
    sampling: Literal["uniform", "middle", "window"] | None = None
    num_frames: Count | None = None
    size: Count | None = None
    """Side of the square clip, in px."""
    grid: Count | None = None
    """``fragments``: cells per side."""


class RenderSettings(Section):
    """Views: how the pixels that teacher and students see are chosen and decoded."""

    decoder: Literal["auto", "decord", "pyav", "yuv"]
    short: Literal["fail", "repeat"]
    """A video with fewer frames than its view asks for: a failed row, or the official rule that repeats frames."""
    views_per_video: Count
    view_sets: Annotated[dict[str, ViewSet], Field(min_length=1)]
    max_failed: Annotated[int, Field(ge=0)]


class AdaptSettings(Section):
    """The teacher, and the InternVQA recipe that turns its head towards opinion scores."""

    teacher: str
    """A file of ``pipeline/teachers/``."""
    checkpoint: str | None
    """Path of a weights file or folder; null takes the weights shipped with the teacher, or none."""
    view_set: str
    trainable_blocks: Annotated[int, Field(ge=0)] | Literal["all"]
    """The last n blocks train, beside attention pooling, norms and head; ``all`` trains the whole model."""
    epochs: Annotated[int, Field(ge=0)]
    """0 passes the checkpoint and its own head through."""
    learning_rate: Positive
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    weight_decay: NonNegative
    warmup_epochs: NonNegative
    batch_size: Count
    """Clips per step."""
    token_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the tokens that a training step sees, drawn anew each step; scoring sees all."""
    val_tolerance: NonNegative = 0.0
    """Of the epochs whose validation SRCC is within this of the best one's, the last is kept: a difference that few
    contents cannot tell is no reason to stop earlier."""
    validation_views: Count | None = None
    """Views per validation video that choose the epoch, the first ones; null takes all that are cached."""
    head_init_scale: Positive
    seed: int
    threads: Count
    """CPU threads; a parameter, since sums are not associative."""


class ExtractSettings(Section):
    """Which outputs of the teacher are cached, and how precisely."""

    view_set: str
    kinds: Annotated[
        list[Literal["embedding", "embedding_normed", "projected", "logits", "layers", "tokens"]], Field(min_length=1)
    ]
    """``embedding`` (attention-pooled), ``embedding_normed`` (after ``fc_norm``), ``projected`` (the 512-d space shared
    with text, of stage-2 and CLIP files), ``logits``, ``layers`` (mean-pooled tokens of blocks), ``tokens`` (dense)."""
    layers: list[Annotated[int, Field(ge=0)]]
    """Blocks whose mean-pooled tokens are kept, ascending, when ``kinds`` has ``layers``. The official recipe, for six
    of 1B, is ``distillation_layers(40, 6, 3.34)`` of ``pipeline/models/internvideo2``: 23, 26, 29, 33, 36, 39."""
    tokens_grid: Count | None
    """``tokens``: pool each frame's token grid to this many per side; null keeps all."""
    precision: Literal["float32", "bfloat16"]
    """Of the teacher's arithmetic; ``bfloat16`` is for CUDA."""
    dtype: Literal["float16", "bfloat16", "float32"]
    """Of the stored arrays."""
    max_failed: Annotated[int, Field(ge=0)]
    threads: Count
    """CPU threads per worker."""
    videos_per_batch: Count = 1
    """Videos whose views make one batch, always padded to this many; ``stages.extract --tune`` proposes it."""
    compile: bool = False
    """``torch.compile`` of each block: a minute to begin with, other rounding, faster on a GPU."""


class DistillSettings(Section):
    """The student and how it is trained from the cache."""

    student: str
    """A file of ``pipeline/students/``."""
    options: dict[str, dict[str, Any]]
    """Student name → that student's own settings; only the selected student's are read."""
    initial: str | None
    """Folder of a trained student of the same kind to begin with, as ``models/student`` is one; null begins anew."""
    view_set: str
    losses: Annotated[dict[str, NonNegative], Field(min_length=1)]
    """Loss name (a file of ``pipeline/losses/``) → weight; 0 switches it off."""
    epochs: Count
    batch_size: Count
    """Clips per step."""
    learning_rate: Positive
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    weight_decay: NonNegative
    warmup_epochs: NonNegative
    weight_average: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Decay of the exponential moving average of the weights; 0 switches it off."""
    precision: Literal["float32", "bfloat16"]
    """Of the student's arithmetic in training; ``bfloat16`` (mixed precision) is for CUDA."""
    validation_views: Count
    """Views per validation video that choose the epoch; calibration and test use all."""
    views: Count | None = None
    """Views of a training video that training may draw from, the first ones; null takes all that are cached."""
    patience: Count | None
    """Epochs without a better validation result before training stops; null trains to the end."""
    seed: int
    threads: Count


class EvaluateSettings(Section):
    """How the test split is measured."""

    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples of the contents for the 95 % intervals."""
    seed: int


class ReportSettings(Section):
    """What the report shows."""

    title: str
    worst: Annotated[int, Field(ge=0)]
    """How many of the worst predictions are shown with frames."""


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


class Params(Section):
    """The whole of ``params.yaml``."""

    prepare: PrepareSettings
    render: RenderSettings
    adapt: AdaptSettings
    extract: ExtractSettings
    distill: DistillSettings
    evaluate: EvaluateSettings
    report: ReportSettings
    runtime: RuntimeSettings

    @model_validator(mode="after")
    def _view_sets_exist(self) -> Self:
        known = list(self.render.view_sets)
        for stage in ("adapt", "extract", "distill"):
            view_set = getattr(self, stage).view_set
            if view_set not in known:
                raise ValueError(
                    f"{stage}.view_set is {view_set!r}, which render.view_sets does not make; "
                    f"it makes {', '.join(known)}{nearest(view_set, known)}"
                )
        return self


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
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _YAML_FLOAT, list("-+0123456789."))


def load_params(path: Path | str = "params.yaml") -> Params:
    """Reads and validates the settings.

    Raises:
        SettingsError: the file is missing, is not YAML, or has a value that is not allowed; every problem is listed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}; run inside a TeachOnce project") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text") from None
    try:
        values = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(
            f"{path}: got {type(values).__name__}; "
            f"expected one mapping with the sections {', '.join(Params.model_fields)}"
        )
    return Params.parse(values, "")
