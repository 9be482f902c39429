"""What one forward of InternVideo2 costs: time, peak memory and floating-point operations.

python -m benchmarks.internvideo2                                        # 1B, 8 frames, float32, one clip, on the CPU
python -m benchmarks.internvideo2 --variant S14 --clips 4 --repeats 5
python -m benchmarks.internvideo2 --device cuda --precision bfloat16 --compile
python -m benchmarks.internvideo2 --checkpoint 1B_ft_k710_ft_k400_f8.pth # the same numbers with real weights

Without a checkpoint the weights are noise, which costs the same. One line of JSON goes to standard output.
"""

import argparse
import json
import resource
import sys
import time
from typing import Any

import torch

from pipeline.core.errors import PipelineError
from pipeline.models.internvideo2 import (
    VARIANTS,
    InternVideo2,
    InternVideo2Config,
    compile_blocks,
    count_flops,
    infer,
    load_checkpoint,
    variant_config,
)


def main(arguments: list[str] | None = None) -> int:
    """Measures what the command line asks for."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        model = _model(options)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    if options.compile:
        compile_blocks(model)
    print(json.dumps(measure(model, options)))
    return 0


def measure(model: InternVideo2, options: argparse.Namespace) -> dict[str, Any]:
    """Runs the forward ``options.repeats`` times and describes the fastest.

    Args:
        model: on its device.
        options: the command line's.

    Returns:
        Seconds per forward, GiB at the peak (of the process on a CPU, of torch's allocator on a GPU), operations.
    """
    config: InternVideo2Config = model.config
    size = (options.clips, 3, config.num_frames, config.image_size, config.image_size)
    pixels = torch.randn(size, device=options.device)
    seconds = []
    if options.compile or options.device == "cuda":
        infer(model, pixels, precision=options.precision)
    for _ in range(options.repeats):
        _finish(options.device)
        start = time.perf_counter()
        infer(model, pixels, precision=options.precision)
        _finish(options.device)
        seconds.append(time.perf_counter() - start)
    teraflops = count_flops(config, options.clips) / 1e12
    return {
        "variant": options.variant,
        "num_frames": config.num_frames,
        "clips": options.clips,
        "device": options.device,
        "precision": options.precision,
        "compiled": options.compile,
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(min(seconds), 4),
        "tflop": round(teraflops, 3),
        "tflop_per_second": round(teraflops / min(seconds), 3),
        "peak_gib": round(_peak_bytes(options.device) / 2**30, 3),
    }


def _model(options: argparse.Namespace) -> InternVideo2:
    config = variant_config(options.variant, num_frames=options.num_frames, num_classes=400)
    if options.checkpoint:
        return load_checkpoint(options.checkpoint, config).to(options.device)
    with torch.device("meta"):
        model = InternVideo2(config)
    model = model.to_empty(device=options.device).eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.03, 0.03)
    return model


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.internvideo2", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--variant", choices=list(VARIANTS), default="1B")
    parser.add_argument("--num-frames", type=int, default=8)
    parser.add_argument("--clips", type=int, default=1, help="clips in the batch")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile each block first")
    parser.add_argument("--checkpoint", help="a file for load_checkpoint; noise without it")
    parser.add_argument("--repeats", type=int, default=1, help="forwards; the fastest counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


if __name__ == "__main__":
    sys.exit(main())
