"""What runs a student: torch from a model folder, ONNX Runtime from an ONNX file; the same numbers within 1e-4.

Neither is imported before it is asked for, so that an ONNX file is scored without torch.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.models import bases
from pipeline.scoring.record import ModelError

if TYPE_CHECKING:
    from pipeline.students.shared.model import StudentModel

METADATA_KEY = "teachonce"
"""The entry of an ONNX file's metadata that holds the student's ``config.json``."""
INPUT, SCORE, EMBEDDING = "clips", "score", "embedding"
_DIGEST_HEX_DIGITS = 16


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
        from pipeline.models.device import resolve_device

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
    from pipeline.students.shared.model import load_student

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
