"""Does what was learnt carry over to natural video? Ladders of held-back photographs in motion and held-back clips.

Each content is encoded with every codec at five CRFs, with presets and key-frame distances that no training sees. Each
encode has views of its own, as files of their own have: one digest for all would flatter the order within a content.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pipeline.core.errors import PipelineError
from pipeline.synthesis.encoding import CODECS, CRF_RANGES, Recipe, decode, encode, resized
from pipeline.synthesis.fullreference import score
from pipeline.synthesis.planes import Planes, Shape, quantise
from pipeline.synthesis.seeding import generator
from pipeline.teachers.pretraining.evaluation import Ladders, across
from pipeline.teachers.pretraining.examples import (
    CLIP_TARGETS,
    EVALUATION,
    QUALITY_CENTRE_DB,
    QUALITY_SPREAD_DB,
    assemble,
)
from pipeline.teachers.pretraining.natural.footage import Footage, take
from pipeline.teachers.pretraining.natural.material import Material
from pipeline.teachers.pretraining.natural.originals import finish
from pipeline.teachers.pretraining.natural.photographs import animate
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

STEPS = 5
"""CRFs of a ladder."""
_CONTENT_SECONDS = 900.0
_SHAPES = (Shape(320, 180, 60), Shape(256, 144, 75), Shape(480, 270, 32), Shape(270, 480, 24), Shape(640, 360, 48))
_CLIP_FRAMES = 60

_Task = tuple[str, tuple[Path, ...] | Footage, int]


def natural_ladders(material: Material, num_photographs: int, workers: int) -> Ladders:
    """Ladders of held-back material.

    Args:
        material: what no training saw.
        num_photographs: contents made of photographs.
        workers: processes.

    Raises:
        PipelineError: there is no material, or a content could not be made.
    """
    tasks: list[_Task] = []
    if material.photographs:
        # Contents share no photograph.
        shares = [material.photographs[index::num_photographs] for index in range(num_photographs)]
        tasks += [(f"photographs {index}", share, index) for index, share in enumerate(shares) if share]
    for clip in material.clips:
        parts = 2 if clip.open().shape.num_frames >= 2 * _CLIP_FRAMES else 1
        tasks += [(f"clip {clip.name} {part}", clip, part) for part in range(parts)]
    if not tasks:
        raise PipelineError("got no held-back material; name folders with more photographs or clips")
    parts_found: dict[int, Ladders] = {}
    for number, part in LocalWorkers(workers, Limits(seconds=_CONTENT_SECONDS)).map(_content, tasks):
        if isinstance(part, Lost):
            raise PipelineError(f"natural content {tasks[number][0]} could not be made: {part.reason}")
        parts_found[number] = part
    ordered = [parts_found[number] for number in range(len(tasks))]
    return Ladders(**{name: np.concatenate([getattr(part, name) for part in ordered]) for name in vars(ordered[0])})


def by_ladder(values: NDArray[np.float64], ladders: Ladders) -> dict[str, float]:
    """SRCC between ``values`` and MS-SSIM in each ladder: one content, one codec, rising CRF."""
    found = {}
    for name in np.unique(ladders.ladder):
        chosen = ladders.ladder == name
        # Equal values order nothing.
        order = spearmanr(values[chosen], ladders.quality[chosen]).statistic if np.ptp(values[chosen]) else 0.0
        found[str(name)] = float(order)
    return found


def spread(values: NDArray[np.float64], ladders: Ladders) -> float:
    """How far ``values`` (dB) spread within a content, over how far MS-SSIM does; 1 is right."""
    pairs = [(values[chosen].std(), ladders.quality[chosen].std()) for chosen in _contents(ladders)]
    return float(np.mean([mine for mine, _ in pairs]) / np.mean([true for _, true in pairs]))


def report(
    title: str,
    values: NDArray[np.float64],
    ladders: Ladders,
    baselines: Mapping[str, NDArray[np.float64]] = MappingProxyType({}),
) -> list[str]:
    """What to print of a teacher: order, spread, and error by kind of material and by codec.

    Args:
        title: of the material.
        values: predicted MS-SSIM target, in units of the head.
        ladders: what was predicted.
        baselines: other predictions by name, in units of the head.
    """
    found = values * QUALITY_SPREAD_DB + QUALITY_CENTRE_DB
    lines = [f"{title}: {len(values)} encodes of {len(set(ladders.content))} contents"]
    lines.append(f"{'':24s} across  within  (worst)  spread")
    kinds = np.array([str(name).split()[0] for name in ladders.content])
    groups = {"all": kinds == kinds, **{kind: kinds == kind for kind in sorted(set(kinds))}}
    for name, chosen in groups.items():
        part = _part(ladders, chosen)
        lines.append(_row(name, found[chosen], part))
        for other, theirs in baselines.items():
            lines.append(_row(f"  {other}", theirs[chosen] * QUALITY_SPREAD_DB + QUALITY_CENTRE_DB, part))
        lines.append(_row("  bits per pixel", ladders.bits[chosen], part))
    bias = np.array([(found - ladders.quality)[chosen].mean() for chosen in _contents(ladders)])
    lines.append(f"bias per content {bias.mean():+.2f} dB, deviation {bias.std():.2f}")
    error = np.array([score(value) for value in found]) - np.array([score(value) for value in ladders.quality])
    per_codec = " ".join(f"{codec} {error[ladders.codec == place].mean():+.1f}" for place, codec in enumerate(CODECS))
    lines.append(f"mean error in points of pseudo-MOS by codec: {per_codec}")
    worst = sorted(by_ladder(found, ladders).items(), key=lambda item: item[1])[:4]
    lines += [f"  {order:6.2f} {name}" for name, order in worst]
    return lines


def _row(name: str, values: NDArray[np.float64], ladders: Ladders) -> str:
    orders = list(by_ladder(values, ladders).values())
    wide = f"{spread(values, ladders):7.2f}" if np.ptp(values) > 3 else ""
    return f"{name:24s} {across(values, ladders):6.3f} {np.mean(orders):7.3f} {min(orders):8.2f} {wide}"


def _contents(ladders: Ladders) -> Iterator[NDArray[np.bool_]]:
    return (ladders.content == name for name in np.unique(ladders.content))


def _part(ladders: Ladders, chosen: NDArray[np.bool_]) -> Ladders:
    return Ladders(**{name: values[chosen] for name, values in vars(ladders).items()})


def _content(task: _Task) -> Ladders:
    """The ladders of one content."""
    name, of, number = task
    rng = generator("natural ladder", name)
    if isinstance(of, Footage):
        planes: Planes = take(rng, of, _CLIP_FRAMES, most_lines=360)
    else:
        shape = _SHAPES[number % len(_SHAPES)]
        planes = finish(rng, animate(rng, of, shape))
    source = quantise(planes)
    rows: dict[str, list[Any]] = {key: [] for key in Ladders.__annotations__}
    for codec in CODECS:
        low, high = CRF_RANGES[codec]
        preset, gop = str(rng.choice(EVALUATION.presets[codec])), int(rng.choice((*EVALUATION.gops, 200)))
        for crf in np.linspace(low, high - 3, STEPS).round().astype(int):
            recipe = Recipe(codec=codec, crf=int(crf), preset=preset, gop=gop)
            file = encode(source, recipe)
            video = resized(decode(file), source.shape.width, source.shape.height)
            groups = assemble(source, [recipe], [(file, video)], rng, EVALUATION.views)
            targets = dict(zip(CLIP_TARGETS, groups[0].targets[0].astype(np.float64), strict=True))
            rows["clips"].append(np.stack([group.clips[0] for group in groups]))
            rows["quality"].append(targets["ms_ssim"] * QUALITY_SPREAD_DB + QUALITY_CENTRE_DB)
            rows["crf"].append(float(crf))
            rows["bits"].append(targets["bits"] - 1)
            rows["content"].append(name)
            rows["ladder"].append(f"{name} {codec}")
            rows["codec"].append(CODECS.index(codec))
    return Ladders(**{key: np.array(values) for key, values in rows.items()})
