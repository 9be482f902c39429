"""Students: one file each, found by its name (``distill.student``), wrapped into one Hugging Face model class.

A student file has

- ``Settings``, a `Section` with its own settings (``distill.options.<name>``),
- ``build(settings, *, target_dim, clip_shape)``, which returns a network: a module that maps normalised pixels, float
  ``b c t h w``, to a `StudentOutput`,
- optionally ``resolve(settings, *, clip_shape, grid)``, which returns settings that a saved student can be built from
  without other files; what is null follows the clips there: their shape, and how many fragments they have per side,
- optionally ``initialise(network, settings)``, which gives a network that starts training its first values, such as a
  checkpoint's. It is not called when a trained student is loaded.
- optionally ``begin_from(network, settings, weights)``, called after that with the values of the trained student that
  ``distill.initial`` names, by their names in its network; it raises `StudentError` where they do not fit. A student
  without it takes exactly the values of its own network.

A setting ``tune`` other than ``all`` trains only a part of a trained student, and so needs ``distill.initial``.

`StudentModel` adds what every student shares: pixel normalisation, saving, loading, calibration, size and cost.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pipeline.core.errors import PipelineError
from pipeline.core.registry import find
from pipeline.models.bases import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from pipeline.models.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise
from pipeline.students.shared.calibration import Calibration
from pipeline.students.shared.format import MODEL_FORMAT, check_model_format
from pipeline.students.shared.output import StudentOutput

__all__ = [
    "StudentConfig",
    "StudentError",
    "StudentModel",
    "StudentOutput",
    "create_student",
    "load_student",
    "take_values",
]
_PREFIX = "network."

DIGEST_HEX_DIGITS = 16


class StudentError(PipelineError):
    """A student that cannot be built, loaded or used as asked."""


class StudentConfig(PretrainedConfig):
    """What a student is built from, and what its scores mean.

    Attributes:
        student: its file in ``pipeline/students/``.
        options: the settings of that file, complete.
        target_dim: width of the cached embedding that it was made to match.
        clip_shape: one clip, ``[t, h, w, c]``.
        pixel_mean: per channel, of pixels in 0 … 1.
        pixel_std: per channel, of pixels in 0 … 1.
        view: how its clips were made: the fingerprint of the clips array it was trained on.
        num_views: how many views of a video its calibration is for.
        scales: data set → `ScoreScale` as a dictionary.
        calibrations: data set → `Calibration` as a dictionary.
        domain: where its training embeddings lie, a `Domain` as a dictionary.
        provenance: digests of the clips and targets it was trained from, and the run's settings.
        format_version: of the saved model.
    """

    model_type = "teachonce_student"

    student: str = "internvideo2"
    options: dict[str, Any] | None = None
    target_dim: int = 256
    clip_shape: list[int] | None = None
    pixel_mean: list[float] | None = None
    pixel_std: list[float] | None = None
    view: dict[str, Any] | None = None
    num_views: int | None = None
    scales: dict[str, Any] | None = None
    calibrations: dict[str, Any] | None = None
    domain: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None
    format_version: int = MODEL_FORMAT

    def __post_init__(self, **kwargs: Any) -> None:
        """Fills in ImageNet's normalisation where none is given; refuses what a newer version wrote."""
        check_model_format({"format_version": self.format_version})
        super().__post_init__(**kwargs)
        self.pixel_mean = list(self.pixel_mean or IMAGENET_MEAN)
        self.pixel_std = list(self.pixel_std or IMAGENET_STD)


class StudentModel(PreTrainedModel):
    """A student: stored pixels in, a score and an embedding out."""

    config_class = StudentConfig
    base_model_prefix = ""
    main_input_name = "clips"
    _supports_sdpa = True

    def __init__(self, config: StudentConfig) -> None:
        super().__init__(config)
        module = find("students", config.student)
        settings = _settings(module, config)
        self.network: nn.Module = module.build(
            settings, target_dim=config.target_dim, clip_shape=tuple(config.clip_shape or ())
        )
        self.post_init()

    def init_weights(self) -> None:
        """Leaves the weights alone: each network gives itself its initial values."""

    @classmethod
    def from_pretrained(cls, *arguments: Any, **options: Any) -> Any:
        """As transformers', into memory of its own.

        A mapped file has its values at any address, and on some processors (AMD's, with MKL) the last bits of a product
        depend on the address: a student that was read would differ from the one that was written.
        """
        loaded = super().from_pretrained(*arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        for value in (*model.parameters(), *model.buffers()):
            value.data = value.data.clone()
        return loaded

    def forward(self, clips: Tensor) -> StudentOutput:
        """Scores clips.

        Args:
            clips: uint8, shape ``(b, t, h, w, c)``, RGB, as stored.

        Returns:
            Scores on the unit scale, not calibrated; embeddings; layers where the network has them.

        Raises:
            StudentError: the clips have another shape than those the student was built for.
        """
        if list(clips.shape[1:]) != list(self.config.clip_shape):
            raise StudentError(
                f"got clips of shape {tuple(clips.shape[1:])}; this student takes {tuple(self.config.clip_shape)} as "
                "t, h, w, c; render such a view set, or train a student on this one"
            )
        output: StudentOutput = self.network(normalise(clips, self.config.pixel_mean, self.config.pixel_std))
        return output

    def calibration(self, dataset: str | None = None) -> Calibration:
        """How raw scores become opinion scores.

        Args:
            dataset: whose scale; None where the student knows only one.

        Raises:
            StudentError: the student has no calibration for it.
        """
        known = self.calibrations()
        name = next(iter(known)) if dataset is None and len(known) == 1 else dataset
        if name not in known:
            raise StudentError(f"no calibration for the data set {dataset!r}; known: {', '.join(known) or 'none'}")
        return known[name]

    def calibrations(self) -> dict[str, Calibration]:
        """Data set → calibration; empty before training."""
        return {name: Calibration(**fit) for name, fit in (self.config.calibrations or {}).items()}

    def digest(self) -> str:
        """The beginning of a SHA-256 over the weights' names, shapes and bytes, wherever they came from."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            array = value.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:DIGEST_HEX_DIGITS]

    def flops(self) -> int:
        """Floating-point operations of one clip's forward pass, a multiplication and an addition counted as two."""
        training = self.training
        self.eval()
        clips = torch.zeros(1, *self.config.clip_shape, dtype=torch.uint8, device=self.device)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self(clips)
        self.train(training)
        return int(counter.get_total_flops())


def create_student(
    name: str,
    options: dict[str, Any],
    *,
    target_dim: int,
    clip_shape: tuple[int, int, int, int],
    grid: int = 1,
    initial: Path | None = None,
    where: str = "distill.options",
) -> StudentModel:
    """Builds a student that has not been trained, with its first values.

    Args:
        name: a file of ``pipeline/students/``.
        options: its own settings, as in ``distill.options.<name>``.
        target_dim: width of the cached embedding.
        clip_shape: of one clip, ``(t, h, w, c)``.
        grid: fragments per side of a clip; 1 where it is one piece of the video.
        initial: folder of a trained student whose values it begins with; None begins anew.
        where: the dotted place of ``options`` in ``params.yaml``, for messages.

    Raises:
        UnknownName: there is no such student.
        SettingsError: an option is unknown or not allowed.
        StudentError: what ``initial`` names is no student of this kind.
    """
    module = find("students", name)
    settings = module.Settings.parse(options, f"{where}.{name}")
    if initial is None and (tune := getattr(settings, "tune", "all")) != "all":
        raise StudentError(
            f"{where}.{name}.tune is {tune!r}, which trains a part of a trained student; name one in distill.initial"
        )
    if hasattr(module, "resolve"):
        settings = module.resolve(settings, clip_shape=clip_shape, grid=grid)
    config = StudentConfig(
        student=name, options=settings.model_dump(), target_dim=target_dim, clip_shape=list(clip_shape)
    )
    model = StudentModel(config)
    if hasattr(module, "initialise"):
        module.initialise(model.network, settings)
    if initial is not None:
        weights = _trained_values(initial, name)
        begin_from = getattr(module, "begin_from", None)
        if begin_from is None:
            take_values(model.network, weights)
        else:
            begin_from(model.network, settings, weights)
    return model


def take_values(network: nn.Module, weights: Mapping[str, Tensor], *, new: str | None = None) -> None:
    """Gives a network a trained one's values.

    Args:
        network: gets the values.
        weights: the values by name.
        new: beginning of the names that ``weights`` may lack; None lets it lack nothing.

    Raises:
        StudentError: names or shapes differ; it lists the first of them.
    """
    own = network.state_dict()
    problems = [f"{key} is missing" for key in own.keys() - weights.keys() if new is None or not key.startswith(new)]
    problems += [f"{key} is unknown" for key in weights.keys() - own.keys()]
    problems += [
        f"{key} is {tuple(weights[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own.keys() & weights.keys()
        if weights[key].shape != own[key].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise StudentError(
            f"distill.initial: the trained student has another network: {shown}; give distill.options the options in "
            "its config.json, and clips of the shape it was trained on"
        )
    network.load_state_dict(own | dict(weights))


def _trained_values(folder: Path, name: str) -> dict[str, Tensor]:
    """The values of a trained student, by their names in its network."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("student")
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        raise StudentError(f"distill.initial: cannot read a trained student from {folder}: {error}") from None
    if found != name:
        raise StudentError(f"distill.initial: {folder} is a student {found!r}; expected {name!r}, as distill.student")
    return {key.removeprefix(_PREFIX): value for key, value in weights.items()}


_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    SafetensorError,
)
"""What transformers raises at a folder that is damaged; each leaves it unread."""


def load_student(path: Path | str) -> StudentModel:
    """Loads a trained student, in evaluation mode.

    Args:
        path: a folder written by ``save_pretrained``, or a hub name.

    Raises:
        StudentError: the folder has no student, or its weights are not exactly the network's.
        ModelFormatError: a newer version of TeachOnce wrote it.
    """
    try:
        model, info = StudentModel.from_pretrained(str(path), output_loading_info=True, use_safetensors=True)
    except _UNREADABLE as error:
        raise StudentError(f"cannot load a student from {path}: {error!s:.2000}") from None
    wrong = {key: sorted(map(str, info[key])) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(wrong.values()):
        raise StudentError(f"the weights in {path} are not those of its network: {wrong}; train it again")
    student: StudentModel = model.eval()
    return student


def _settings(module: ModuleType, config: StudentConfig) -> Any:
    return module.Settings.parse(config.options or {}, f"config.json: options of {config.student}")


AutoConfig.register(StudentConfig.model_type, StudentConfig)
AutoModel.register(StudentConfig, StudentModel)
