"""The folder is the registry."""

import pytest

from pipeline.registry import UnknownName, find, names


def test_a_file_is_found_by_its_name() -> None:
    assert "embedded" in names("datasets")
    assert find("datasets", "embedded").__name__ == "pipeline.datasets.embedded"


def test_an_unknown_name_lists_what_there_is_and_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown dataset 'embeded'; known: .*did you mean 'embedded'\?"):
        find("datasets", "embeded")
