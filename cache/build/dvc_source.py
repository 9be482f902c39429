"""The last committed store of an output, wherever DVC stores it.

DVC deletes an output before it runs the stage again, but its cache still has every file of the last version by
content: ``dvc.lock`` names a listing (``<md5>.dir``), and the listing names the files. Nothing is checked out; the
store is read where it lies. When the cache lacks it and a remote is configured, ``dvc fetch`` brings it once.
Nothing here fails a build: what cannot be found is not adopted.
"""

import configparser
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cache.store.errors import StoreError
from cache.store.layout import ROOT
from cache.store.scratch import dvc_project
from cache.store.store import Store

logger = logging.getLogger(__name__)
MD5 = re.compile(r"[0-9a-f]{32}")
ASK_SECONDS, FETCH_SECONDS = 60.0, 24 * 3600.0


@dataclass(frozen=True)
class DvcFiles:
    """The files of a store as DVC's cache stores them.

    Attributes:
        label: the output and its digest, for error texts.
        cache: the folder ``files/md5`` of DVC's cache.
        listing_by_path: MD5 per path in the store.
    """

    label: str
    cache: Path
    listing_by_path: Mapping[str, str]

    @property
    def name(self) -> str:
        """What to call the store in an error."""
        return self.label

    def path(self, relative: str) -> Path:
        """Return where a file is; it may be absent there."""
        md5 = self.listing_by_path.get(relative)
        return self.cache / md5[:2] / md5[2:] if md5 else self.cache / "absent" / relative.replace("/", "_")

    def listing(self) -> Iterator[str]:
        """Yield the path of every file there is."""
        return iter(self.listing_by_path)

    def complete(self) -> bool:
        """Whether every file is in the cache."""
        return all(self.path(relative).exists() for relative in self.listing_by_path)


def last_committed(out: str | Path, *, fetch: bool = True) -> Callable[[], list[Store]]:
    """Prepare to look for older versions of a stage's output; give it to ``build_store(adopt=...)``.

    Args:
        out: the output, as the stage writes it.
        fetch: whether a configured DVC remote may be asked for what the cache lacks.

    Returns:
        A function that finds the stores when they are needed, the workspace's ``dvc.lock`` first, then git's HEAD.
    """
    return lambda: list(_stores(Path(out).absolute(), fetch))


def _stores(out: Path, fetch: bool) -> Iterator[Store]:
    project = dvc_project(out.parent)
    if project is None:
        return
    seen = set()
    for md5 in _recorded(out, project):
        if md5 in seen:
            continue
        seen.add(md5)
        files = _find(out, project, md5, fetch)
        if files is None:
            logger.info("the version %s of %s is not in DVC's cache", md5, out.name)
            continue
        try:
            yield Store(files)
        except StoreError as error:
            logger.warning("nothing adopted from %s: %s", files.name, error)


def _recorded(out: Path, project: Path) -> Iterator[str]:
    folders = [folder for folder in out.parents if folder == project or project in folder.parents]
    for read in (_workspace_lock, _head_lock):
        for folder in folders:
            text = read(folder)
            if text is not None:
                yield from _digests(text, out.relative_to(folder).as_posix())


def _workspace_lock(folder: Path) -> str | None:
    try:
        return (folder / "dvc.lock").read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _head_lock(folder: Path) -> str | None:
    return _ask(["git", "-C", str(folder), "show", "HEAD:./dvc.lock"], folder, ASK_SECONDS)


def _digests(lock: str, out: str) -> Iterator[str]:
    try:
        stages = (YAML(typ="safe").load(lock) or {}).get("stages", {})
        outs = [out_entry for stage in stages.values() for out_entry in stage.get("outs", [])]
        found = [entry["md5"] for entry in outs if entry.get("path") == out and "md5" in entry]
    except (YAMLError, AttributeError, TypeError, KeyError):
        logger.warning("a dvc.lock cannot be read; nothing is adopted from it")
        return
    yield from (str(md5).removesuffix(".dir") for md5 in found if MD5.fullmatch(str(md5).removesuffix(".dir")))


def _find(out: Path, project: Path, md5: str, fetch: bool) -> DvcFiles | None:
    folder = _cache_folder(project)
    files = _listed(folder, out, md5)
    if files is None and "cache" not in _settings(project):
        # The cache may be set in the user's or the system's configuration, which only DVC knows how to find.
        answer = _ask([sys.executable, "-m", "dvc", "cache", "dir"], project, ASK_SECONDS)
        if answer:
            folder = Path(answer.strip()) / "files" / "md5"
            files = _listed(folder, out, md5)
    if fetch and (files is None or not files.complete()) and _has_remote(project):
        logger.warning("fetching the last committed %s from the DVC remote", out.name)
        _ask([sys.executable, "-m", "dvc", "fetch", "-q", str(out)], project, FETCH_SECONDS)
        files = _listed(folder, out, md5)
    return files


def _listed(folder: Path, out: Path, md5: str) -> DvcFiles | None:
    try:
        listed: Any = json.loads((folder / md5[:2] / f"{md5[2:]}.dir").read_bytes())
        listing = {str(item["relpath"]): str(item["md5"]) for item in listed}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if ROOT not in listing or not all(MD5.fullmatch(digest) for digest in listing.values()):
        return None
    return DvcFiles(f"{out.name}@{md5[:12]}", folder, listing)


def _settings(project: Path) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None)
    for name in ("config", "config.local"):
        try:
            settings.read(project / ".dvc" / name)
        except (configparser.Error, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read: %s", project / ".dvc" / name, error)
    return settings


def _cache_folder(project: Path) -> Path:
    # A relative folder is relative to the configuration file, which is in .dvc.
    place = _settings(project).get("cache", "dir", fallback="cache").strip("'\" ")
    return project / ".dvc" / place / "files" / "md5"


def _has_remote(project: Path) -> bool:
    return any("remote" in section for section in _settings(project).sections())


def _ask(command: list[str], folder: Path, seconds: float) -> str | None:
    """Run a program that may be absent or fail; return what it said, None when it failed."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        logger.info("%s: %s", " ".join(command), error)
        return None
    if done.returncode:
        logger.info("%s: %s", " ".join(command), done.stderr.strip()[-500:])
        return None
    return done.stdout
