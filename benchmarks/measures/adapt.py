"""``adapt`` against one pass of the frozen trunk and E passes of the blocks that train."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.harness import Figure, Setting, at_most, in_turn, workshop
from benchmarks.material import write_run
from cache.store import open_store
from pipeline.core.manifest import Split
from pipeline.models.pixels import normalise
from pipeline.teachers import internvideo2_tiny
from pipeline.teachers.adaptation.adapt import adapt
from pipeline.teachers.adaptation.initial import initial_teacher
from pipeline.teachers.adaptation.settings import AdaptSettings
from stages.params import load_params

LIMIT = "the trunk once over all labelled clips, then per epoch the trainable part over tokens of a view of each video"
_PARAMS = Path(__file__).parents[2] / "params.yaml"


def settings_for(*, epochs: int) -> AdaptSettings:
    """The default's settings on one thread."""
    return load_params(_PARAMS).adapt.model_copy(update={"threads": 1, "checkpoint": None, "epochs": epochs})


def tune(data: Path, settings: AdaptSettings) -> None:
    """The stage's work on what ``write_run`` wrote; the teacher goes to the current folder."""
    adapt(
        settings,
        clips=data / "clips.zarr",
        tables=data,
        teacher=Path("teacher"),
        curves=Path("curves.csv"),
        device="cpu",
    )


def figures(setting: Setting) -> Iterator[Figure]:
    """The default teacher, its last block, six epochs, four views per video."""
    splits: dict[Split, int] = {"train": setting.size(64, 4), "val": setting.size(12, 2), "test": 1}
    views = 4
    data = write_run(setting.folder, splits=splits, num_views=views)
    settings = settings_for(epochs=6)
    store = open_store(data / "clips.zarr")
    of_video = np.arange((splits["train"] + splits["val"]) * views).reshape(-1, views)
    train, val = np.split(of_video, [splits["train"]])
    rows = np.concatenate([train.ravel(), val[:, : settings.validation_views].ravel()])
    preprocessing = internvideo2_tiny.PREPROCESSING
    clips = torch.from_numpy(store.read("main", rows))

    def limit() -> None:
        torch.set_num_threads(1)
        model = initial_teacher(settings)
        model.freeze_trunk(int(settings.trainable_blocks))
        tokens = torch.cat(
            [model.forward_trunk(normalise(part, preprocessing.mean, preprocessing.std)) for part in clips.split(8)]
        )
        optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])
        for _ in range(settings.epochs):
            for part in tokens[: train.size : views].split(settings.batch_size):
                logits = model.forward_from(part, token_share=settings.token_share).logits
                assert logits is not None
                optimiser.zero_grad()
                functional.mse_loss(logits[:, 0], torch.zeros(len(part))).backward()
                optimiser.step()
            with torch.no_grad():
                for part in tokens[train.size :].split(8):
                    model.forward_from(part)

    with workshop(setting.folder / "work"):
        turns = in_turn(lambda: tune(data, settings), limit, setting.fewer(3))
    yield Figure(
        what=f"adapt, the last block, {settings.epochs} epochs",
        against="a trunk pass and as many passes of the block",
        ratios=turns.time_ratios(),
        goal=at_most(1.2),
        detail={"clips": len(rows), **turns.detail()},
    )
