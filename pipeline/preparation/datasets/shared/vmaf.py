"""VMAF through an ``ffmpeg`` with libvmaf, where one is installed; TeachOnce ships none.

Ref: Netflix, github.com/Netflix/vmaf, and FFmpeg's filter ``libvmaf``, with its default model.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.synthesis.planes import Video420

_SECONDS = 3600
_GRAPH = (
    "[0:v]scale={width}:{height}:flags=bicubic,setpts=PTS-STARTPTS[distorted];[1:v]setpts=PTS-STARTPTS[reference];"
    "[distorted][reference]libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=1"
)


def find_vmaf() -> str:
    """Version of the ``ffmpeg`` on the PATH that has libvmaf.

    Raises:
        DatasetError: there is none.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise DatasetError(
            "VMAF needs an ffmpeg with libvmaf, and there is no ffmpeg on the PATH; or use score: ms_ssim"
        )
    if "libvmaf" not in _run([ffmpeg, "-hide_banner", "-filters"], Path.cwd()):
        raise DatasetError(f"{ffmpeg} was built without libvmaf; install one that has it, or use score: ms_ssim")
    return _run([ffmpeg, "-version"], Path.cwd()).partition("\n")[0].strip()


def vmaf(reference: Video420, file: bytes, container: str) -> float:
    """The mean VMAF over all frames, 0 to 100.

    Args:
        reference: the source.
        file: the encode; scaled to the source's size first.
        container: its suffix.

    Raises:
        DatasetError: ffmpeg failed.
    """
    ffmpeg = shutil.which("ffmpeg") or "ffmpeg"
    with tempfile.TemporaryDirectory(prefix="vmaf-") as name:
        folder = Path(name)
        (folder / f"distorted.{container}").write_bytes(file)
        with (folder / "reference.y4m").open("wb") as raw:
            raw.write(f"YUV4MPEG2 W{reference.shape.width} H{reference.shape.height} F25:1 Ip A1:1 C420jpeg\n".encode())
            for index in range(reference.shape.num_frames):
                raw.write(b"FRAME\n")
                for plane in (reference.y, reference.u, reference.v):
                    raw.write(plane[index].tobytes())
        graph = _GRAPH.format(width=reference.shape.width, height=reference.shape.height)
        inputs = ["-r", "25", "-i", f"distorted.{container}", "-i", "reference.y4m"]
        _run([ffmpeg, "-hide_banner", "-nostdin", *inputs, "-lavfi", graph, "-f", "null", "-"], folder)
        try:
            told = json.loads((folder / "vmaf.json").read_text(encoding="utf-8"))
            return float(told["pooled_metrics"]["vmaf"]["mean"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{ffmpeg} printed no VMAF: {error}") from None


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DatasetError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode:
        raise DatasetError(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
