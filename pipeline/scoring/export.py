"""A student as an ONNX file: stored pixels in, raw score and embedding out, everything else in its metadata.

The graph takes uint8 ``b t h w c`` with any batch, normalises, and runs the network. The metadata entry ``teachonce``
is the student's ``config.json``: how its clips are made, its calibration and its domain. So a program that has numpy,
a decoder and ONNX Runtime can score (``docs/scoring.md``).
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.errors import PipelineError
from pipeline.core.files import replacing
from pipeline.scoring.predictors import EMBEDDING, INPUT, METADATA_KEY, SCORE, OnnxPredictor, TorchPredictor
from pipeline.scoring.record import ScoringRecord
from pipeline.students.shared.model import StudentModel

MOST_CLIPS = 1024
"""The largest batch that the graph is promised to take."""
_NUM_TRIALS = 8
PARITY = 1e-4
"""How far an exported student may stray, as a share of the scale."""


class ExportError(PipelineError):
    """A student that cannot be exported, or whose export gives other scores."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far an exported student's scores lie from torch's.

    Attributes:
        largest: of all clips, as a share of the scale.
        mean: likewise.
        num_clips: how many were tried.
    """

    largest: float
    mean: float
    num_clips: int


class _Graph(nn.Module):
    """The part that is exported."""

    def __init__(self, student: StudentModel) -> None:
        super().__init__()
        self.student = student

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        output = self.student(clips)
        return output.score, output.embedding


def export_onnx(student: StudentModel, path: Path, *, int8: bool = False) -> None:
    """Writes the file.

    Args:
        student: trained and calibrated.
        path: ends in ``.onnx``.
        int8: whether the weights of matrix products are stored in 8 bits and multiplied in 8 bits.

    Raises:
        ExportError: the name is wrong, or a package is missing.
        ModelError: the student does not say how its clips are made.
    """
    if path.suffix != ".onnx":
        raise ExportError(f"got {path}; expected a name that ends in .onnx")
    ScoringRecord.of(student.config.to_dict())
    onnx = _onnx()
    model = _trace(student)
    del model.graph.value_info[:]
    if int8:
        model = _quantised(model)
    record = {name: value for name, value in student.config.to_dict().items() if name != "_name_or_path"}
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(record, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))


def deviation(student: StudentModel, path: Path, clips: NDArray[np.uint8] | None = None) -> Deviation:
    """Compares an exported student with the one it was made from, on the MOS scale.

    Args:
        student: on the CPU.
        path: of its ONNX file.
        clips: uint8 ``b t h w c``; None takes a few made ones, from flat to noise.
    """
    clips = trial_clips(student) if clips is None else clips
    reference, exported = TorchPredictor(student, threads=1), OnnxPredictor(path, threads=1)
    record = ScoringRecord.of(student.config.to_dict())
    shares = [
        np.abs(fit(reference(clips[row : row + 1])[0]) - fit(exported(clips[row : row + 1])[0])) / fit.scale.length
        for fit in record.calibrations.values()
        for row in range(len(clips))
    ]
    return Deviation(largest=float(np.max(shares)), mean=float(np.mean(shares)), num_clips=len(clips))


def trial_clips(student: StudentModel) -> NDArray[np.uint8]:
    """Clips that need no video: moving gradients under noise of growing strength, uint8 ``b t h w c``."""
    frames, height, width, channels = student.config.clip_shape
    time, rows, columns, colour = np.ogrid[:frames, :height, :width, :channels]
    ramp = 128 + 60 * np.sin((rows + 2 * time) / 7 + colour) + 50 * np.cos((columns - time) / 11)
    noise = np.random.Generator(np.random.Philox(0)).standard_normal((_NUM_TRIALS, *ramp.shape))
    strengths = np.linspace(0, 60, _NUM_TRIALS).reshape(-1, 1, 1, 1, 1)
    return np.clip(ramp + strengths * noise, 0, 255).astype(np.uint8)


def _trace(student: StudentModel) -> Any:
    clips = torch.zeros(2, *student.config.clip_shape, dtype=torch.uint8)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Graph(student.cpu()).eval(),
            (clips,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[SCORE, EMBEDDING],
            dynamic_shapes={"clips": {0: torch.export.Dim("batch", min=1, max=MOST_CLIPS)}},
        )
    assert program is not None
    return program.model_proto


def _quantised(model: Any) -> Any:
    import tempfile

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8)
        return onnx.load(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say of their own deprecations and of packages that are not needed."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _onnx() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ExportError(f"{error.name} is not installed; run pip install 'teachonce[export]'") from None
    return onnx
