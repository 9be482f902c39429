"""What runs a student: torch from a model folder, ONNX Runtime from an ONNX file; the same numbers within 1e-4.

Neither is imported before it is asked for, so that an ONNX file is scored without torch.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import Calibration
from pipeline.clips import clip_fingerprint
from pipeline.domain import Domain
from pipeline.errors import PipelineError, nearest
from pipeline.model_format import check_model_format
from pipeline.models import bases
from pipeline.views import ViewPolicy

if TYPE_CHECKING:
    from pipeline.students import StudentModel

METADATA_KEY = "teachonce"
"""The entry of an ONNX file's metadata that holds the student's ``config.json``."""
INPUT, SCORE, EMBEDDING = "clips", "score", "embedding"
_DIGEST_HEX_DIGITS = 16


class ModelError(PipelineError):
    """A model that cannot be loaded, or that does not say how its clips are made."""


class Predictor(Protocol):
    """Runs a student.

    Attributes:
        config: the student's ``config.json``.
        digest: the beginning of a SHA-256 over the weights, in hexadecimal.
    """

    config: Mapping[str, Any]
    digest: str

    def __call__(self, clips: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Scores clips.

        Args:
            clips: uint8 ``b t h w c``.

        Returns:
            Raw scores, float64 ``(b,)``, and embeddings, float32 ``(b, d)``.
        """


class TorchPredictor:
    """A student run by torch; see `Predictor`.

    Args:
        student: trained.
        threads: on the CPU; sums are not associative, so their number is part of the result.
        device: ``cpu``, ``cuda`` or ``auto``.
    """

    def __init__(self, student: "StudentModel", *, threads: int, device: str = "cpu") -> None:
        from pipeline.optimisation import resolve_device

        self.config: Mapping[str, Any] = student.config.to_dict()
        self.digest = student.digest()
        self._student, self._threads = student.to(resolve_device(device)).eval(), threads

    def __call__(self, clips: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """As ``Predictor.__call__``."""
        import torch

        with torch.inference_mode(), _threads(self._threads):
            output = self._student(torch.from_numpy(clips).to(self._student.device))
        return output.score.double().cpu().numpy(), output.embedding.float().cpu().numpy()


class OnnxPredictor:
    """A student run by ONNX Runtime on the CPU; see `Predictor`.

    Args:
        path: written by ``teachonce export``.
        threads: as for `TorchPredictor`.

    Raises:
        ModelError: it is no such file, or ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        try:
            data = path.read_bytes()
            self._session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror}") from None
        except _onnx_errors() as error:
            raise ModelError(f"{path} is not an ONNX model that can be run: {error}") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(f"{path} has no {METADATA_KEY!r} in its metadata; write it with `teachonce export`")
        try:
            self.config: Mapping[str, Any] = dict(json.loads(metadata[METADATA_KEY]))
        except (ValueError, TypeError, RecursionError):
            raise ModelError(
                f"{path}: {METADATA_KEY!r} in its metadata is no JSON object; write it anew with `teachonce export`"
            ) from None
        self.digest = hashlib.sha256(data).hexdigest()[:_DIGEST_HEX_DIGITS]

    def __call__(self, clips: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """As ``Predictor.__call__``."""
        score, embedding = self._session.run([SCORE, EMBEDDING], {INPUT: clips})
        return np.asarray(score, np.float64), np.asarray(embedding, np.float32)


def load_predictor(model: Path | str, *, threads: int | None = None, device: str = "cpu") -> Predictor:
    """Loads a student for scoring.

    Args:
        model: a folder written by ``distill``, a hub name, or an ONNX file.
        threads: on the CPU; None takes the number it was trained with.
        device: for torch.

    Raises:
        ModelError: it is no such thing.
        StudentError: the folder has no student.
    """
    if str(model).endswith(".onnx"):
        return OnnxPredictor(Path(model), threads=threads or 1)
    student = load_quietly(model)
    trained_with = (student.config.provenance or {}).get("distill", {}).get("threads", 1)
    return TorchPredictor(student, threads=threads or int(trained_with), device=device)


def start_lightly(model: Path | str) -> None:
    """Spares a process that only scores the import of transformers, where the student can be read without it.

    Args:
        model: as for ``load_predictor``; a hub name, or a folder unlike those of ``distill``, needs transformers.
    """
    folder = Path(model)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    plain = isinstance(config, dict) and config.get("dtype", "float32") == "float32"
    if plain and (folder / "model.safetensors").is_file():
        bases.without_transformers()


def load_quietly(model: Path | str) -> "StudentModel":
    """Loads a student as ``load_student`` does, without a progress bar for a file that is read in a moment.

    Raises:
        StudentError: the folder has no student.
    """
    from pipeline.students import load_student

    if bases.is_plain():
        return load_student(model)
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return load_student(model)
    finally:
        if shown:
            logging.enable_progress_bar()


@dataclass(frozen=True, kw_only=True)
class ScoringRecord:
    """What a student's ``config.json`` says beside its network: how to make its clips, and what its scores mean.

    Attributes:
        policy: how its views are chosen.
        num_views: per video, as it was calibrated with.
        repeat: whether a video that is too short repeats frames.
        decoder: a file of ``pipeline/decoders/``.
        calibrations: data set → calibration.
        domain: where its training embeddings lie; None where it was not noted.
    """

    policy: ViewPolicy
    num_views: int
    repeat: bool
    decoder: str
    calibrations: Mapping[str, Calibration]
    domain: Domain | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ScoringRecord":
        """Reads a student's configuration.

        Raises:
            ModelError: it does not say how its clips are made, or they were made by other code than this.
            ModelFormatError: a newer version of TeachOnce wrote it.
        """
        check_model_format(config)
        try:
            return cls._read(config)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ModelError(
                f"what the student says of its clips and scores cannot be read: {error}; run distill again"
            ) from None

    @classmethod
    def _read(cls, config: Mapping[str, Any]) -> Self:
        view = config.get("view") or {}
        if not {"view", "decoder", "short"} <= view.keys() or not config.get("calibrations"):
            raise ModelError("the student does not say how its clips are made and calibrated; run distill again")
        try:
            policy = ViewPolicy(**{key: value for key, value in view["view"].items() if key != "version"})
        except TypeError as error:
            raise ModelError(f"the student's view policy cannot be read: {error}; run distill again") from None
        here = clip_fingerprint(policy, decoder=view["decoder"], short=view["short"])
        if differing := sorted(key for key in view.keys() | here.keys() if view.get(key) != here.get(key)):
            raise ModelError(
                f"the student was trained on clips that other code made ({', '.join(differing)} differ); run distill "
                "again, or score with the version of TeachOnce that trained it"
            )
        return cls(
            policy=policy,
            num_views=int(config.get("num_views") or 1),
            repeat=view["short"] == "repeat",
            decoder=view["decoder"],
            calibrations=_calibrations(config["calibrations"]),
            domain=Domain.from_dict(config["domain"]) if config.get("domain") else None,
        )

    def calibration(self, dataset: str | None) -> Calibration:
        """The calibration to a data set's scale.

        Args:
            dataset: None where the student knows only one.

        Raises:
            ModelError: there is none, or several to choose from.
        """
        known = self.calibrations
        if dataset is None and len(known) == 1:
            return next(iter(known.values()))
        if dataset is None:
            raise ModelError(f"the student knows the scales of {', '.join(known)}; say which one with --dataset")
        if dataset not in known:
            raise ModelError(
                f"no calibration for the data set {dataset!r}; known: {', '.join(known)}{nearest(dataset, known)}"
            )
        return known[dataset]


def _calibrations(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Calibration]:
    try:
        return {name: Calibration(**fit) for name, fit in stored.items()}
    except TypeError as error:
        raise ModelError(f"the student's calibration cannot be read: {error}; run distill again") from None


@contextmanager
def _threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModelError("ONNX Runtime is not installed; run pip install 'teachonce[export]'") from None
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def _onnx_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (state.InvalidProtobuf, state.InvalidGraph, state.Fail, state.InvalidArgument, state.NotImplemented)
