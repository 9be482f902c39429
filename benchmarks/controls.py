"""What a claim about cached targets is held against: targets of the wrong video, and a teacher that knows nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cache import Job, Rows, build_store, open_store
from pipeline.adaptation import initial_teacher
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config
from pipeline.optimisation import reproducible
from pipeline.params import AdaptSettings


def shuffle_targets(source: Path, destination: Path, *, seed: int) -> None:
    """Writes a target store in which every video has the targets of another one, under its own keys.

    Args:
        source: a target store.
        destination: the store to be written.
        seed: of the permutation, which leaves no video its own targets.
    """
    store = open_store(source)
    ids = [unit.video_id for unit in store.units()]
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(ids))
    other = {ids[order[place]]: ids[order[place - 1]] for place in range(len(ids))}

    def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows]]:
        for job in jobs:
            own, theirs = store.rows_of(job.unit.video_id), store.rows_of(other[job.unit.video_id])
            columns = {name: [store.column(name)[row] for row in own] for name in store.columns}
            yield job, Rows({name: store.read(name, theirs) for name in job.arrays}, columns)

    build_store(
        destination,
        kind=store.kind,
        specs=list(store.arrays.values()),
        units=store.units(),
        columns=store.columns,
        compute=compute,
        pool=None,
    )


def save_first_values(settings: AdaptSettings, folder: Path) -> Path:
    """Saves the selected teacher as it is before any training, without a head, and returns the folder.

    With a head it would be taken for a checkpoint that predicts scores.

    Args:
        settings: the section ``adapt``; its checkpoint and the shipped weights are not used.
        folder: to be written.
    """
    with reproducible(seed=settings.seed, threads=settings.threads):
        model = initial_teacher(settings, from_nothing=True)
    bare = InternVideo2(InternVideo2Config(**{**model.config.to_dict(), "num_classes": 0}))
    kept = bare.state_dict().keys()
    bare.load_state_dict({name: value for name, value in model.state_dict().items() if name in kept})
    bare.save_pretrained(folder)
    return folder
