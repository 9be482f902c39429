"""The folder is the registry."""

import pytest

from pipeline.core.registry import UnknownName, find, names


def test_a_file_is_found_by_its_name() -> None:
    assert "embedded" in names("preparation.datasets")
    assert find("preparation.datasets", "embedded").__name__ == "pipeline.preparation.datasets.embedded"


def test_an_unknown_name_lists_what_there_is_and_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown dataset 'embeded'; known: .*did you mean 'embedded'\?"):
        find("preparation.datasets", "embeded")
