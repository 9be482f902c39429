"""The section ``extract`` of ``params.yaml``."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.settings import Count, Section


class ExtractSettings(Section):
    """Which outputs of the teacher are cached, and how precisely."""

    view_set: str
    kinds: Annotated[
        list[Literal["embedding", "embedding_normed", "projected", "logits", "layers", "tokens"]], Field(min_length=1)
    ]
    """``embedding`` (attention-pooled), ``embedding_normed`` (after ``fc_norm``), ``projected`` (the 512-d space shared
    with text, of stage-2 and CLIP files), ``logits``, ``layers`` (mean-pooled tokens of blocks), ``tokens`` (dense)."""
    layers: list[Annotated[int, Field(ge=0)]]
    """Blocks whose mean-pooled tokens are stored, ascending, with ``layers`` in ``kinds``. The official recipe, for six
    of 1B, is ``distillation_layers(40, 6, 3.34)`` of ``pipeline/models/internvideo2``: 23, 26, 29, 33, 36, 39."""
    tokens_grid: Count | None
    """``tokens``: pool each frame's token grid to this many per side; null stores all."""
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
