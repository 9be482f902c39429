"""A project whose training takes no time, for tests of studies: made by hand here, run by DVC's queue."""

import json
import os
import subprocess
import sys
from pathlib import Path

TRAIN = """
import json
from pathlib import Path
from ruamel.yaml import YAML

settings = YAML(typ="safe").load(Path("params.yaml"))["distill"]
if settings["rate"] > 1:
    raise SystemExit("diverged")
gain = 0.02 + 0.001 * (settings["seed"] == 3) if settings["losses"]["tokens"] else 0.0
values = {"student": 0.8 + gain + 0.01 * (settings["student"] == "large") + settings["seed"] / 1000, "coverage": 0.9}
Path("results/evaluate").mkdir(parents=True, exist_ok=True)
Path("results/evaluate/summary.json").write_text(json.dumps(values))
"""
PARAMS = """
distill: {student: small, rate: 0.5, losses: {tokens: 0.1, score: 1.0}, seed: 7}
runtime: {workers: 2}
"""
STAGES = """
stages:
  evaluate:
    cmd: python train.py
    deps: [train.py, models/teacher, data/videos.csv, data/labels.csv]
    params: [distill]
    metrics:
      - results/evaluate/summary.json: {cache: false}
"""


class Toy:
    """The project, committed and run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = {
            "train.py": TRAIN,
            "params.yaml": PARAMS,
            "dvc.yaml": STAGES,
            "models/teacher/teacher.json": json.dumps({"weights_sha256": "ab" * 32}),
            "data/videos.csv": "video_id\na\n",
            "data/labels.csv": "video_id,mos\na,1\n",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        self.run("git", "init", "-q")
        self.run("dvc", "init", "-q")
        self.run("dvc", "repro", "-q")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "a project")

    def run(self, *command: str) -> str:
        """Runs a command in the project, with this environment's programs; what it prints."""
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment.pop("DVC_ROOT", None)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=800
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def queue(self, name: str, *settings: str) -> None:
        self.run("dvc", "exp", "run", "--queue", "--name", name, *[part for each in settings for part in ("-S", each)])
