"""What the cache's tests share: a pool, a store with one failed video, and that they do not wait for the disk."""

import os
from pathlib import Path

import pytest

from cache.build import Pool
from tests.cache.toy import Teacher, build, units


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six videos, the fourth of which failed; not to be changed."""
    place = tmp_path_factory.mktemp("stores") / "s.zarr"
    build(place, units(6), teacher=Teacher(broken={"source0003": "broken"}), max_failed=1, metadata={"views": 2})
    return place


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # Forcing every file to a busy disk takes most of the time of these tests and shows nothing to them.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
