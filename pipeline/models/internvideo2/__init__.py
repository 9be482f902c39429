"""InternVideo2: configuration, model and checkpoint loading, in plain PyTorch on any device.

    from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, load_checkpoint

    model = load_checkpoint("1B_ft_k710_ft_k400_f8.pth")
    output = infer(model, pixels)  # tokens, embedding, embedding_normed, logits

Ref: Wang et al., "InternVideo2: Scaling Foundation Models for Multimodal Video Understanding" (ECCV 2024), the vision
encoder. Left out: the masked pre-training decoders, the text and audio towers, single-image position embeddings.
"""

from pipeline.models.internvideo2.config import VARIANTS, ConfigError, InternVideo2Config, variant_config
from pipeline.models.internvideo2.flops import count_flops
from pipeline.models.internvideo2.inference import compile_blocks, infer, lower_weights
from pipeline.models.internvideo2.loading import LoadReport, load_checkpoint, stored_config
from pipeline.models.internvideo2.model import (
    ClipShapeError,
    InternVideo2,
    InternVideo2Output,
    distillation_layers,
)
from pipeline.models.internvideo2.reading import CheckpointError

__all__ = [
    "VARIANTS",
    "CheckpointError",
    "ClipShapeError",
    "ConfigError",
    "InternVideo2",
    "InternVideo2Config",
    "InternVideo2Output",
    "LoadReport",
    "compile_blocks",
    "count_flops",
    "distillation_layers",
    "infer",
    "load_checkpoint",
    "lower_weights",
    "stored_config",
    "variant_config",
]
