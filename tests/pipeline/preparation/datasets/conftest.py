"""What the data sets' tests share."""

from collections.abc import Iterator

import pytest

from pipeline.preparation import files


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at in this process, which saves the start of another."""

    class Here:
        def __init__(self, *_) -> None: ...

        def map(self, function, tasks) -> Iterator:
            return ((index, function(task)) for index, task in enumerate(tasks))

    monkeypatch.setattr(files, "LocalWorkers", Here)
