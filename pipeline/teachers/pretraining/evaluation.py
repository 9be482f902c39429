"""Does the embedded teacher generalise? Ladders of encodes of contents it never saw, generated or natural."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.core.errors import PipelineError
from pipeline.models.pixels import normalise
from pipeline.synthesis.encoding import CODECS, CRF_RANGES, Recipe, decode, encode, resized
from pipeline.synthesis.planes import Byte, Shape, Video420
from pipeline.synthesis.seeding import generator
from pipeline.synthesis.sources import render
from pipeline.teachers.pretraining.examples import (
    CELL_PX,
    EVALUATION,
    QUALITY_CENTRE_DB,
    QUALITY_SPREAD_DB,
    TRAINING,
    Group,
    Variety,
    assemble,
    draw_camera,
    draw_recipe,
    make_groups,
)
from pipeline.teachers.pretraining.objectives import Pretrainer
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

LEVELS = 6
"""CRF steps of a ladder."""
_CONTENT_SECONDS = 600.0
_SIZES = ((320, 180), (256, 144), (384, 216), (480, 270))


@dataclass(frozen=True)
class Ladders:
    """Encodes of several contents, ready to be scored.

    Attributes:
        clips: uint8 ``n v t h w c``, the views of each encode.
        quality: float64 ``n``, MS-SSIM in dB.
        crf: float64 ``n``.
        bits: float64 ``n``, log10 of bits per pixel.
        content: ``n`` names.
        ladder: ``n`` names: content, codec and everything else but the CRF.
        codec: ``n`` indices.
    """

    clips: Byte
    quality: NDArray[np.float64]
    crf: NDArray[np.float64]
    bits: NDArray[np.float64]
    content: NDArray[np.str_]
    ladder: NDArray[np.str_]
    codec: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Writes an ``.npz`` file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Ladders":
        """Reads what ``save`` wrote."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in stored.files})


def held_out(num_contents: int, workers: int, variety: Variety = EVALUATION) -> Ladders:
    """Ladders on families, seeds, presets and key-frame distances that the pre-training never saw."""
    parts: dict[int, Ladders] = {}
    limits = Limits(seconds=_CONTENT_SECONDS)
    tasks = [(variety, index) for index in range(num_contents)]
    for index, part in LocalWorkers(workers, limits).map(_held_out_content, tasks):
        if isinstance(part, Lost):
            raise PipelineError(f"held-out content {index} could not be made: {part.reason}")
        parts[index] = part
    return _joined([parts[index] for index in range(num_contents)])


def natural(folder: Path, height: int, num_frames: int = 32) -> Ladders:
    """Ladders of the first and a middle part of every pristine video of a folder.

    Args:
        folder: videos FFmpeg can open.
        height: they are scaled to this height first, which also hides what their own encoder left; 0 keeps the size.
        num_frames: of each part.
    """
    parts = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".mp4", ".y4m", ".mkv", ".webm", ".mov"):
            continue
        for number, source in enumerate(_parts(path, height, num_frames)):
            rng = generator("natural", path.name, number)
            parts.append(_ladders(source, f"{path.stem}-{number}", rng))
    return _joined(parts)


def predict(pretrainer: Pretrainer, clips: Byte) -> NDArray[np.float64]:
    """The mean over views of the predicted MS-SSIM target; ``clips`` is ``n v t h w c``."""
    scores = []
    with torch.inference_mode():
        for views in clips:
            output = pretrainer.model(normalise(torch.from_numpy(views)))
            scores.append(float(output.logits.mean()))
    return np.array(scores)


def within(values: NDArray[np.float64], ladders: Ladders) -> float:
    """The mean over ladders (one content, one codec, rising CRF) of the SRCC between ``values`` and MS-SSIM."""
    correlations = []
    for name in np.unique(ladders.ladder):
        chosen = ladders.ladder == name
        if chosen.sum() >= 4 and np.ptp(ladders.quality[chosen]) > 0:
            correlations.append(spearmanr(values[chosen], ladders.quality[chosen]).statistic)
    return float(np.mean(correlations))


def across(values: NDArray[np.float64], ladders: Ladders) -> float:
    """SRCC over all encodes of all contents."""
    return float(spearmanr(values, ladders.quality).statistic)


def baselines(ladders: Ladders, training_contents: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Simple predictors for comparison.

    Args:
        ladders: what is predicted.
        training_contents: contents of the pre-training's kind on which hand features are fitted.

    Yields:
        A name and its predictions.
    """
    groups = [make_groups(replace(TRAINING, views=1), -1 - index)[0] for index in range(training_contents)]
    yield "ridge on hand features", ridge_on_hand_features(groups, ladders)
    one_hot = ladders.codec[:, None] == np.arange(len(CODECS))
    design = np.concatenate([ladders.crf[:, None] * one_hot, one_hot], axis=1)
    solution = np.linalg.lstsq(design, ladders.quality, rcond=None)[0]
    yield "CRF + codec (fitted here)", design @ solution
    yield "bits per pixel", ladders.bits


def ridge_on_hand_features(groups: Iterable[Group], ladders: Ladders) -> NDArray[np.float64]:
    """What ridge regression on ``hand_features`` predicts of ``ladders``, mean over views, in units of the head.

    Args:
        groups: what it is fitted on; arrays with a leading axis encode, or group and encode.
        ladders: what is predicted.
    """
    features, wanted = [], []
    for group in groups:
        features.append(hand_features(group.clips.reshape(-1, *group.clips.shape[-4:])))
        wanted.append(group.targets[..., 0].ravel())
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    ridge.fit(np.concatenate(features), np.concatenate(wanted))
    found: NDArray[np.float64] = np.mean([ridge.predict(hand_features(view)) for view in _views(ladders)], axis=0)
    return found


def hand_features(clips: Byte) -> NDArray[np.float64]:
    """Statistics of luma: log energies of DCT bands in 8x8 blocks, differences in space and time, moments.

    Args:
        clips: uint8 ``n t h w c``.

    Returns:
        float64 ``n`` by the number of features.
    """
    luma = (clips.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[:, :, :, :]
    n, t, h, w = luma.shape
    blocks = luma.reshape(n, t, h // CELL_PX, CELL_PX, w // CELL_PX, CELL_PX).transpose(0, 1, 2, 4, 3, 5)[
        ..., 3:11, 3:11
    ]
    position = np.arange(8)
    basis = np.cos(np.pi * (2 * position[None] + 1) * position[:, None] / 16) / 2
    basis[0] /= np.sqrt(2)
    energy = np.abs(basis.astype(np.float32) @ blocks @ basis.T.astype(np.float32))
    band = np.minimum(7, np.hypot(*np.meshgrid(position, position)).astype(int))
    columns: list[NDArray[np.float64]] = []
    for index in range(1, 8):
        values = energy[..., band == index].mean(axis=-1)
        columns += [np.log(values.mean(axis=(1, 2, 3)) + 0.1), np.log(values + 0.1).mean(axis=(1, 2, 3))]
        columns.append((values < 0.3).mean(axis=(1, 2, 3)))
    columns += [np.log(np.abs(np.diff(luma, axis=1)).mean(axis=(1, 2, 3)) + 0.1)]
    columns += [luma.mean(axis=(1, 2, 3)), luma.std(axis=(1, 2, 3))]
    return np.stack(columns, axis=1).astype(np.float64)


def _views(ladders: Ladders) -> Iterable[Byte]:
    return (ladders.clips[:, view] for view in range(ladders.clips.shape[1]))


def _held_out_content(task: tuple[Variety, int]) -> Ladders:
    variety, index = task
    rng = generator("ladder", index)
    family = variety.families[index % len(variety.families)]
    width, height = _SIZES[rng.integers(len(_SIZES))]
    source = render(family, (EVALUATION.name, index), Shape(width, height, 32), draw_camera(variety, index))
    return _ladders(source, f"{family}-{index}", rng)


def _ladders(source: Video420, content: str, rng: np.random.Generator) -> Ladders:
    """Two ladders, of different codecs, of one source."""
    recipes: list[Recipe] = []
    while len(recipes) < 2 * LEVELS:
        first = draw_recipe(rng, EVALUATION)
        if recipes and recipes[0].codec == first.codec:
            continue
        low, high = CRF_RANGES[first.codec]
        steps = np.linspace(low, high, LEVELS) + rng.uniform(-2, 2, LEVELS)
        recipes += [replace(first, crf=int(np.clip(round(step), low, high))) for step in steps]
    files = [encode(source, recipe) for recipe in recipes]
    shape = source.shape
    videos = [(file, resized(decode(file), shape.width, shape.height)) for file in files]
    groups: list[Group] = assemble(source, recipes, videos, rng, EVALUATION.views)
    return Ladders(
        clips=np.stack([group.clips for group in groups], axis=1),
        quality=groups[0].targets[:, 0].astype(np.float64) * QUALITY_SPREAD_DB + QUALITY_CENTRE_DB,
        crf=np.array([recipe.crf for recipe in recipes], dtype=np.float64),
        bits=groups[0].targets[:, 4].astype(np.float64) - 1,
        content=np.array([content] * len(recipes)),
        ladder=np.array([f"{content} {replace(recipe, crf=0).text()}" for recipe in recipes]),
        codec=groups[0].codecs,
    )


def _joined(parts: list[Ladders]) -> Ladders:
    return Ladders(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _parts(path: Path, height: int, num_frames: int) -> Iterator[Video420]:
    """Up to two parts of a video, scaled."""
    frames: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        for index, frame in enumerate(source.decode(stream)):
            if index >= 5 * num_frames:
                break
            scale = Fraction(height or frame.height, frame.height)
            rows, columns = 2 * round(frame.height * scale / 2), 2 * round(frame.width * scale / 2)
            small = frame.reformat(columns, rows, "yuv420p", interpolation="AREA" if scale < 1 else "BICUBIC")
            frames.append(small.to_ndarray().astype(np.uint8, copy=False))
    starts = [0] if len(frames) < 5 * num_frames else [0, 4 * num_frames]
    for start in starts:
        planes = np.stack(frames[start : start + num_frames])
        rows, columns = planes.shape[1] * 2 // 3, planes.shape[2]
        chroma = planes[:, rows:].reshape(len(planes), 2, rows // 2, columns // 2)
        yield Video420(planes[:, :rows], chroma[:, 0], chroma[:, 1])
