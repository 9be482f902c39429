"""Settings of ``params.yaml``, changed as a study needs them."""

from pipeline.params import Params
from pipeline.registry import find

LABEL_SIDE = {"mos", "group"}
"""What a loss may read without a teacher."""


def with_threads(params: Params, threads: int | None) -> Params:
    """The same settings with other threads: several runs of one thread each fill a machine better than one of many."""
    if threads is None:
        return params
    changed = {name: getattr(params, name).model_copy(update={"threads": threads}) for name in ("adapt", "distill")}
    return params.model_copy(update=changed)


def without_targets(losses: dict[str, float]) -> dict[str, float]:
    """The losses that read labels only."""
    return {name: weight for name, weight in losses.items() if set(find("losses", name).NEEDS) <= LABEL_SIDE}
