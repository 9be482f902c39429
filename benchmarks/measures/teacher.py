"""The teacher's forward against the plainest faithful implementation: naive attention, eager, nothing fused."""

import statistics
from collections.abc import Iterator

import torch

from benchmarks.harness import Figure, Setting, in_turn
from benchmarks.plain import plain_forward
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, count_flops, variant_config
from pipeline.teachers.adaptation.initial import teacher_config

LIMIT = "the published formulas, one eager operation after another (benchmarks/plain.py)"


def figures(setting: Setting) -> Iterator[Figure]:
    """InternVideo2-S14 at four frames, and the small default; float32, one thread."""
    torch.set_num_threads(1)
    for what, config, clips in (
        ("S14, 4 frames of 224 px", variant_config("S14", num_frames=4), 2),
        ("the default teacher", teacher_config("internvideo2_tiny"), setting.size(16, 2)),
    ):
        if not (setting.small and what.startswith("S14")):
            yield _figure(what, config, clips, setting.rounds)


def _figure(what: str, config: InternVideo2Config, clips: int, rounds: int) -> Figure:
    torch.manual_seed(0)
    model = InternVideo2(config).eval()
    weights = {name: value.detach() for name, value in model.state_dict().items()}
    pixels = torch.randn(clips, 3, config.num_frames, config.image_size, config.image_size)
    with torch.inference_mode():
        ours, plain = model(pixels).embedding_normed, plain_forward(pixels, weights, config)
        if not torch.allclose(ours, plain, atol=1e-4):
            raise RuntimeError(f"the plain forward differs by {float((ours - plain).abs().max()):.1e}")
        turns = in_turn(lambda: model(pixels), lambda: plain_forward(pixels, weights, config), rounds, warm=False)
    gigaflops = count_flops(config, clips) / 1e9
    return Figure(
        what=f"forward, {what}",
        against="the plainest implementation",
        ratios=turns.time_ratios(),
        detail={"gigaflop_per_second": gigaflops / statistics.median(turns.ours), **turns.detail()},
    )
