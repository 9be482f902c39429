"""The GPU benchmark runs, tiny and on a CPU, in a Python that has little but torch, numpy, zarr and safetensors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

PLAIN = """
import sys
absent = {"transformers", "accelerate", "pydantic", "rich", "typer", "av", "decord", "scipy", "sklearn", "psutil",
          "h5py", "dask", "distributed", "dvc", "matplotlib", "pandas"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else found(name, package)
from benchmarks import gpu
gpu.compile_blocks = lambda model: model  # a compiler is not what is looked at here
sys.exit(gpu.main(sys.argv[1:]))
"""


def test_it_runs_in_a_plain_python(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-c", PLAIN, "--tiny", "--device", "cpu", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(output.read_text(encoding="utf-8"))
    assert told["device"] == "CPU"
    assert told["matrix_tflops"] > 0
    forward = told["forward, 4 frames"]
    assert set(forward) == {
        "eager, 1 videos per batch",
        "eager, 2 videos per batch",
        "compiled, 1 videos per batch",
        "compiled, 2 videos per batch",
        "compiling_and_all_its_batches_seconds",
        "plain, 1 videos per batch",
    }
    assert all(entry["share_of_peak"] > 0 for entry in forward.values() if isinstance(entry, dict))
    assert told["extract"]["rows"] == 12
    assert told["extract"]["ratio_to_bare_forward"] > 0
    assert told["student epoch"]["clips_per_second"] > 0


def test_a_machine_without_a_gpu_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from benchmarks import gpu

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
