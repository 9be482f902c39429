"""Rows are adopted from the last committed store, wherever DVC keeps it; without DVC the build goes on."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cache.build import Pool, last_committed
from cache.store import open_store
from cache.tools.cli import app
from tests.cache.toy import CLIP, Teacher, build, tree, units
from tests.imports import ROOT

OUTSIDE = '[{"md5": "../../x", "relpath": "zarr.json"}]'


def commit(project: Path, out: str, cache: Path | None = None) -> None:
    """Do what ``dvc commit`` does to an output: move it into the cache by content, and record it."""
    cache = cache or project / ".dvc/cache"
    folder = project / out
    listing = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        kept = cache / "files/md5" / md5[:2] / md5[2:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        kept.write_bytes(path.read_bytes())
        kept.chmod(0o444)
        listing.append({"md5": md5, "relpath": path.relative_to(folder).as_posix()})
    text = json.dumps(listing)
    md5 = hashlib.md5(text.encode()).hexdigest()
    (cache / "files/md5" / md5[:2]).mkdir(exist_ok=True)
    (cache / "files/md5" / md5[:2] / f"{md5[2:]}.dir").write_text(text)
    lock = f"schema: '2.0'\nstages:\n  extract:\n    cmd: x\n    outs:\n    - path: {out}\n      md5: {md5}.dir\n"
    (project / "dvc.lock").write_text(lock)


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project/.dvc").mkdir(parents=True)
    build(tmp_path / "project/data/targets.zarr", units(4))
    monkeypatch.setenv("PATH", "")  # neither git nor anything else is needed
    return tmp_path / "project"


def adopted(project: Path, count: int = 5) -> list[str]:
    """Build the output again as after ``dvc repro`` deleted it; return what was computed."""
    remove(project / "data/targets.zarr")
    teacher = Teacher()
    out = project / "data/targets.zarr"
    build(out, units(count), teacher=teacher, pool=Pool(project / "pool"), adopt=[last_committed(out)])
    assert open_store(out).verify() == []
    return teacher.videos


def test_one_more_video_computes_one_video(project: Path, tmp_path: Path) -> None:
    commit(project, "data/targets.zarr")
    assert adopted(project) == ["video0004"]
    build(tmp_path / "undisturbed", units(5))
    assert tree(project / "data/targets.zarr") == tree(tmp_path / "undisturbed")


def test_the_cache_may_be_elsewhere(project: Path, tmp_path: Path) -> None:
    commit(project, "data/targets.zarr", tmp_path / "elsewhere")
    (project / ".dvc/config").write_text("[core]\n    analytics = false\n[cache]\n    dir = ../../elsewhere\n")
    assert adopted(project) == ["video0004"]


def test_damage_in_the_dvc_cache_is_computed_again_and_not_spread(project: Path) -> None:
    chunk = (project / "data/targets.zarr/clip/c.1.0.0.0.0").read_bytes()
    commit(project, "data/targets.zarr")
    md5 = hashlib.md5(chunk).hexdigest()
    kept = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    kept.chmod(0o644)
    kept.write_bytes(chunk[:-1] + bytes([chunk[-1] ^ 1]))
    assert adopted(project) == ["video0001", "video0004"]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda project: (project / "dvc.lock").unlink(),
        lambda project: (project / "dvc.lock").write_text("[:"),
        lambda project: (project / "dvc.lock").write_text("- 1\n"),
        lambda project: (project / "dvc.lock").write_bytes(b"\xff\xfe"),
        lambda project: (project / "dvc.lock").write_text("stages: {extract: {outs: [{path: data/targets.zarr}]}}"),
        lambda project: remove(project / ".dvc/cache"),
        lambda project: remove(project / ".dvc"),
        lambda project: (project / ".dvc/config").write_bytes(b"\xff[["),
        lambda project: [path.write_text("[]") for path in project.rglob("*.dir")],
        lambda project: [
            path.write_text('[{"md5": "../../x", "relpath": "zarr.json"}]') for path in project.rglob("*.dir")
        ],
    ],
)
def test_whatever_is_missing_or_broken_the_build_goes_on(project: Path, break_it: object) -> None:
    commit(project, "data/targets.zarr")
    assert callable(break_it)
    break_it(project)
    assert len(adopted(project)) in (1, 5)


def test_the_last_commit_counts_when_the_workspace_lost_its_lock(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    commit(project, "data/targets.zarr")
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "dvc.lock"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (project / "dvc.lock").unlink()
    assert adopted(project) == ["video0004"]


LAST_CLIP = "targets.zarr/clip/c.4.0.0.0.0"
FICLONE = 0x40049409
CLIP_BYTES = 2 * CLIP.row_bytes + 4


def sizes(folder: Path) -> dict[str, int]:
    """Size of every file, by path."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def holding(project: Path, content: bytes) -> list[Path]:
    """Every file of a project that has these bytes."""
    files = (path for path in project.rglob("*") if path.is_file() and path.stat().st_size == len(content))
    return [path for path in files if path.read_bytes() == content]


def inodes_of_a_clip(project: Path) -> set[int]:
    """The files on the disk that hold the clips that workspace, pool and DVC's cache all have."""
    held = holding(project, (project / LAST_CLIP).read_bytes())
    assert len(held) == 3, "workspace, pool and DVC's cache"
    return {path.stat().st_ino for path in held}


def shares_blocks(folder: Path) -> bool:
    """Whether the disk can make a file that shares its blocks with another."""
    one, other = folder / "one", folder / "other"
    one.write_bytes(b"x" * 4096)
    with one.open("rb") as source, other.open("wb") as target:
        try:
            fcntl.ioctl(target, FICLONE, source.fileno())
        except OSError:
            return False
    return True


def rot(path: Path) -> bytes:
    """Flip a bit as a disk does: neither the file's time nor its mode tells. Return what is there now."""
    told = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(told.st_mode & 0o7777)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    return bytes(content)


def distinct(paths: list[Path]) -> list[Path]:
    """One name of each file on the disk."""
    return list({path.stat().st_ino: path for path in paths}.values())


@pytest.mark.slow
@pytest.mark.parametrize("link", ["as committed", "symlink"])
def test_a_fresh_clone_that_pulls_or_only_has_the_remote_computes_one_video(tmp_path: Path, link: str) -> None:
    """The real DVC: a stage builds a store; it is pushed, cloned, and grown by one video."""
    origin, remote = tmp_path / "origin", tmp_path / "remote"
    program = (
        "import sys; from pathlib import Path; from tests.cache.toy import *; from cache.build import *\n"
        "teacher, out = Teacher(), Path('targets.zarr')\n"
        "count = int(Path('count').read_text())\n"
        "report = build(out, units(count), teacher=teacher, pool=Pool.locate(), adopt=[last_committed(out)])\n"
        "Path('computed').write_text(' '.join(teacher.videos))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def run(folder: Path, *command: str) -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def dvc(folder: Path, *command: str) -> None:
        run(folder, sys.executable, "-m", "dvc", *command)

    origin.mkdir()
    run(origin, "git", "init", "-q")
    dvc(origin, "init", "-q")
    if link == "as committed":
        shutil.copyfile(ROOT / ".dvc/config", origin / ".dvc/config")
    else:
        dvc(origin, "config", "cache.type", link)
    dvc(origin, "remote", "add", "-q", "-d", "store", str(remote))
    (origin / "build.py").write_text(program)
    (origin / "count").write_text("4")
    (origin / "dvc.yaml").write_text(
        f"stages:\n  extract:\n    cmd: {sys.executable} build.py\n    deps: [count]\n    outs: [targets.zarr]\n"
    )
    (origin / ".gitignore").write_text("/targets.zarr\n/.teachonce\n/computed\n")
    dvc(origin, "repro", "-q")
    assert len((origin / "computed").read_text().split()) == 4
    dvc(origin, "push", "-q")
    run(origin, "git", "add", "-A")
    run(origin, "git", "commit", "-qm", "four videos")

    for name, pull in (("pulled", True), ("bare", False)):
        clone = tmp_path / name
        run(tmp_path, "git", "clone", "-q", str(origin), str(clone))
        if pull:
            dvc(clone, "pull", "-q")
        cached = clone / ".dvc/cache/files"
        before = sizes(cached)
        (clone / "count").write_text("5")
        dvc(clone, "repro", "-q")
        assert (clone / "computed").read_text() == "video0004"
        assert open_store(clone / "targets.zarr").verify() == []
        if pull:
            # One clip file, and what little else changed: the cache grows in proportion to the change.
            grown = sorted(size for name, size in sizes(cached).items() if name not in before)
            assert grown[-1] == CLIP_BYTES
            assert sum(grown[:-1]) < CLIP_BYTES / 4
        # Where the disk shares blocks between files, three files are one clip's bytes on the disk.
        assert len(inodes_of_a_clip(clone)) <= (3 if link == "as committed" and shares_blocks(tmp_path) else 2)
    assert tree(tmp_path / "pulled/targets.zarr") == tree(tmp_path / "bare/targets.zarr")

    # Damage: in the workspace's file and whatever is linked to it, then in every file that there is.
    clone = tmp_path / "pulled"
    sound, content = tree(clone / "targets.zarr"), (clone / LAST_CLIP).read_bytes()
    for everywhere in (False, True):
        (clone / "computed").unlink()
        held = distinct(holding(clone, content)) if everywhere else [clone / LAST_CLIP]
        damaged = {rot(path) for path in held}
        found = CliRunner().invoke(app, ["verify", str(clone / "targets.zarr")])
        assert found.exit_code == 1
        assert "clip/c.4.0.0.0.0" in found.stdout
        assert "video0004" in found.stdout
        dvc(clone, "repro", "-q")
        assert tree(clone / "targets.zarr") == sound
        assert (clone / "computed").read_text() == ("video0004" if everywhere else "")
        assert [holding(clone, bad) for bad in damaged] == [[]]
        assert len(holding(clone, content)) == 3
