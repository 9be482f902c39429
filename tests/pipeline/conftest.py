"""One tiny run for all tests that only read it."""

import pytest

from pipeline.students.data.rows import AlignedData, DataPaths
from tests.tiny_run import write_tiny_run


@pytest.fixture(scope="session")
def tiny_paths(tmp_path_factory: pytest.TempPathFactory) -> DataPaths:
    return write_tiny_run(
        tmp_path_factory.mktemp("tiny"),
        unlabelled=["train2"],
        broken=["train0_25"],
        kinds=["embedding", "embedding_normed", "logits", "layers"],
    )


@pytest.fixture
def tiny_data(tiny_paths: DataPaths) -> AlignedData:
    return AlignedData(tiny_paths, "main")
