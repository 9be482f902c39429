"""Floating-point operations of a forward, counted rather than estimated."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula, sdpa_flop_count

from pipeline.models.internvideo2.config import InternVideo2Config
from pipeline.models.internvideo2.model import InternVideo2


def _cpu_attention_flops(
    query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    return int(sdpa_flop_count(query_shape, key_shape, value_shape))


# torch counts the fused attention kernels of CUDA but not the one of the CPU, and would miss half of a small model
if torch.ops.aten._scaled_dot_product_flash_attention_for_cpu not in flop_registry:
    register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)(_cpu_attention_flops)


def count_flops(config: InternVideo2Config, num_clips: int = 1) -> int:
    """Counts the floating-point operations of one forward, on the meta device: no weights, no arithmetic.

    Args:
        config: the model.
        num_clips: clips in the batch.

    Returns:
        Operations of matrix products, convolutions and attention; a multiply-add counts as two.
    """
    with torch.device("meta"):
        model = InternVideo2(config).eval()
        pixels = torch.empty(num_clips, 3, config.num_frames, config.image_size, config.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(pixels)
    return int(counter.get_total_flops())
