"""What a GPU makes of the teacher, of ``extract`` and of a student's epoch; from a plain Python.

    python -m benchmarks.gpu                     # InternVideo2-1B on the first CUDA device; about ten minutes
    python -m benchmarks.gpu --tiny --device cpu # shows only that it runs

It needs torch, numpy, zarr and safetensors, and nothing else of what TeachOnce needs. The encoder, the staging and the
store are the very code of the stages; weights are noise in the official layout, which costs what real ones cost. One
JSON document goes to ``benchmarks/results_gpu.json`` and to standard output.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.plain import plain_forward
from cache.build import Pool, build_store
from cache.store import ArraySpec, Failed, Job, Rows, Unit, open_store
from pipeline.models.internvideo2.config import InternVideo2Config, variant_config
from pipeline.models.internvideo2.flops import count_flops
from pipeline.models.internvideo2.inference import compile_blocks, lower_weights
from pipeline.models.internvideo2.model import InternVideo2
from pipeline.models.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise
from pipeline.models.staging import staged, stream

OUTPUT = Path(__file__).parent / "results_gpu.json"
_VIEWS = 4


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is.

    Attributes:
        teacher: frames → configuration.
        batches: videos per batch to try, of four views each.
        matrix: side of the matrices whose product is the dense peak.
        videos: in the set that is extracted.
        student_clips: of a student's epoch.
        rounds: timed repetitions.
    """

    teacher: dict[int, InternVideo2Config]
    batches: Sequence[int]
    matrix: int
    videos: int
    student_clips: int
    rounds: int


def scale(tiny: bool) -> Scale:
    """1B at 4, 8 and 16 frames; or what a CPU does in a second."""
    if not tiny:
        teacher = {frames: variant_config("1B", num_frames=frames, num_classes=400) for frames in (4, 8, 16)}
        return Scale(teacher=teacher, batches=(1, 2, 4, 8), matrix=8192, videos=64, student_clips=2048, rounds=10)
    return Scale(
        teacher={frames: _tiny_config(frames) for frames in (2, 4)},
        batches=(1, 2),
        matrix=64,
        videos=3,
        student_clips=32,
        rounds=2,
    )


def _tiny_config(num_frames: int) -> InternVideo2Config:
    return InternVideo2Config(
        embed_dim=32,
        depth=2,
        num_heads=2,
        pool_num_heads=2,
        pool_dim=16,
        image_size=28,
        num_frames=num_frames,
        num_classes=4,
    )


class Bench:
    """All parts, on one device."""

    def __init__(self, device: torch.device, size: Scale) -> None:
        self.device, self.size = device, size
        self.peak = self._matrix_peak()

    def seconds(self, work: Callable[[], Any], rounds: int | None = None) -> float:
        """The median time of one call, warm; the device has finished when the clock is read."""
        work()
        times = []
        for _ in range(rounds or self.size.rounds):
            self._finish()
            start = time.perf_counter()
            work()
            self._finish()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def run(self) -> dict[str, Any]:
        """Everything, part by part; a part's results are printed as they come."""
        figures: dict[str, Any] = {"device": self._name(), "torch": torch.__version__, "matrix_tflops": self.peak}
        parts: dict[str, Callable[[], Any]] = {
            **{
                f"forward, {frames} frames": partial(self.forward, config)
                for frames, config in self.size.teacher.items()
            },
            "extract": self.extract,
            "student epoch": self.student_epoch,
        }
        for name, part in parts.items():
            figures[name] = part()
            print(f"{name}: {json.dumps(figures[name])}", file=sys.stderr, flush=True)
        clips = figures["extract"]["bare_clips_per_second"]
        figures["step without the teacher in it (decoding left out)"] = {
            "speed_up": 1 + figures["student epoch"]["clips_per_second"] / clips
        }
        return figures

    def forward(self, config: InternVideo2Config) -> dict[str, Any]:
        """Clips/s and the share of the dense peak, eager and compiled, per batch size; and of the plain forward."""
        flops = count_flops(config) / 1e12
        figures: dict[str, Any] = {}
        for compiled in (False, True):
            model, start = self._model(config), time.perf_counter()
            if compiled:
                compile_blocks(model)
            for videos in self.size.batches:
                pixels = self._pixels(config, videos * _VIEWS)
                try:
                    seconds = self.seconds(partial(self._infer, model, pixels))
                except torch.OutOfMemoryError:
                    break
                name = f"{'compiled' if compiled else 'eager'}, {videos} videos per batch"
                figures[name] = {
                    "clips_per_second": len(pixels) / seconds,
                    "share_of_peak": flops * len(pixels) / seconds / self.peak,
                }
                if not compiled:
                    figures[name]["place_free"] = self._place_free(model, pixels[:_VIEWS], videos)
            if compiled:
                figures["compiling_and_all_its_batches_seconds"] = time.perf_counter() - start
        figures["plain, 1 videos per batch"] = self._plain(config, flops)
        return figures

    def extract(self) -> dict[str, Any]:
        """A whole store from a store of clips, against the bare forward on pixels that are on the device already."""
        config = self.size.teacher[sorted(self.size.teacher)[1]]
        model = self._model(config)
        spec = ArraySpec("embedding", "float16", (config.pool_dim,), ("channel",), {"benchmark": 1})
        with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
            clips = self._clip_store(Path(folder), config)
            bare = self._pixels(config, _VIEWS)
            bare_seconds = self.seconds(lambda: self._infer(model, bare))

            def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
                batches = ((job, clips.read("main", clips.rows_of(job.unit.video_id))) for job in jobs)
                for job, arrays in stream(batches, lambda _, pixels: self._embed(model, pixels), self.device):
                    yield job, Rows(arrays, {}) if arrays is not None else Failed("no clip")

            times = []
            for turn in range(3):
                start = time.perf_counter()
                build_store(
                    Path(folder) / f"targets {turn}.zarr",
                    kind="targets",
                    specs=[spec],
                    units=clips.units(),
                    compute=compute,
                    pool=Pool(Path(folder) / f"pool {turn}"),
                )
                times.append(time.perf_counter() - start)
        bare_rate = _VIEWS / bare_seconds
        rates = [len(clips) / seconds for seconds in times]
        return {
            "rows": len(clips),
            "ratio_to_bare_forward": statistics.median(rates) / bare_rate,
            "low": min(rates) / bare_rate,
            "high": max(rates) / bare_rate,
            "clips_per_second": statistics.median(rates),
            "bare_clips_per_second": bare_rate,
        }

    def student_epoch(self) -> dict[str, Any]:
        """A small student from clips in RAM through staging, against the same steps on clips on the device."""
        tiny = self.size.matrix < 1024
        config = InternVideo2Config(
            embed_dim=32 if tiny else 96,
            depth=1 if tiny else 4,
            num_heads=4,
            tubelet_size=2,
            num_frames=2 if tiny else 8,
            image_size=28 if tiny else 112,
            layerscale_init=0.1,
            pool_dim=64 if tiny else 256,
            pool_num_heads=8,
            num_classes=1,
        )
        model = InternVideo2(config).to(self.device).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        shape = (self.size.student_clips, config.num_frames, config.image_size, config.image_size, 3)
        clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        order = np.random.default_rng(1).permutation(len(clips))
        rows = np.split(order, np.arange(16, len(order), 16))
        targets = torch.randn(len(clips), config.pool_dim)
        held = {"clips": torch.from_numpy(clips).to(self.device), "targets": targets.to(self.device)}

        def step(batch: dict[str, Tensor]) -> None:
            with torch.autocast(self.device.type, torch.bfloat16):
                output = model(normalise(batch["clips"], IMAGENET_MEAN, IMAGENET_STD))
            loss = torch.nn.functional.smooth_l1_loss(output.embedding_normed.float(), batch["targets"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        def from_ram() -> None:
            read = ({"clips": torch.from_numpy(clips[part]), "targets": targets[part]} for part in rows)
            for batch in staged(read, self.device):
                step(batch)

        def on_device() -> None:
            for part in rows:
                index = torch.from_numpy(part).to(self.device)
                step({name: values[index] for name, values in held.items()})

        times = [(self.seconds(from_ram, 1), self.seconds(on_device, 1)) for _ in range(3)]
        ratios = [ours / limit for ours, limit in times]
        return {
            "time_ratio_to_clips_on_the_device": statistics.median(ratios),
            "low": min(ratios),
            "high": max(ratios),
            "clips_per_second": len(clips) / min(ours for ours, _ in times),
        }

    def _model(self, config: InternVideo2Config) -> InternVideo2:
        with torch.device("meta"):
            model = InternVideo2(config)
        model = model.to_empty(device=self.device).eval()
        for parameter in model.parameters():
            torch.nn.init.uniform_(parameter, -0.03, 0.03)
        return lower_weights(model)

    def _plain(self, config: InternVideo2Config, flops: float) -> dict[str, float]:
        weights = {name: value.bfloat16() for name, value in self._model(config).state_dict().items()}
        pixels = self._pixels(config, _VIEWS).bfloat16()

        def work() -> None:
            with torch.inference_mode():
                plain_forward(pixels, weights, config)

        seconds = self.seconds(work)
        return {"clips_per_second": _VIEWS / seconds, "share_of_peak": flops * _VIEWS / seconds / self.peak}

    @torch.inference_mode()
    def _infer(self, model: InternVideo2, pixels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            embedding: Tensor = model(pixels).embedding
        return embedding

    def _embed(self, model: InternVideo2, clips: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            pixels = normalise(clips, IMAGENET_MEAN, IMAGENET_STD)
        return {"embedding": self._infer(model, pixels)}

    def _place_free(self, model: InternVideo2, pixels: Tensor, videos: int) -> bool:
        parts = self._infer(model, pixels.repeat(videos, 1, 1, 1, 1)).float().chunk(videos)
        return all(torch.equal(parts[0], part) for part in parts)

    def _pixels(self, config: InternVideo2Config, clips: int) -> Tensor:
        size = (clips, 3, config.num_frames, config.image_size, config.image_size)
        return torch.randn(size, device=self.device)

    def _clip_store(self, folder: Path, config: InternVideo2Config) -> Any:
        shape = (config.num_frames, config.image_size, config.image_size, 3)
        spec = ArraySpec("main", "uint8", shape, ("t", "h", "w", "c"), {"benchmark": 1})
        names = [f"video{number:04d}" for number in range(self.size.videos)]

        def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
            for number, job in enumerate(jobs):
                clips = np.random.default_rng(number).integers(0, 256, (_VIEWS, *shape), np.uint8)
                yield job, Rows({"main": clips}, {})

        build_store(
            folder / "clips.zarr",
            kind="clips",
            specs=[spec],
            units=[Unit(name, name, name, _VIEWS) for name in names],
            compute=compute,
            pool=None,
        )
        return open_store(folder / "clips.zarr")

    def _matrix_peak(self) -> float:
        """TFLOP/s of one large bfloat16 product: what the share of the peak is a share of."""
        side = self.size.matrix
        one, two = (torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        return 2 * side**3 / self.seconds(lambda: one @ two) / 1e12

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status is 2 where there is no such device."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a model of nothing, to see that it runs")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here; --tiny --device cpu shows that it runs", file=sys.stderr)
        return 2
    figures = Bench(device, scale(given.tiny)).run()
    text = json.dumps(figures, indent=1) + "\n"
    given.output.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
