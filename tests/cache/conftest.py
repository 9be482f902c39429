"""What the cache's tests share: they do not wait for the disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # Forcing every file to a busy disk takes most of the time of these tests and shows nothing to them.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
