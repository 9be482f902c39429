"""Splits are by content, seeded, and a content never moves when others come or go."""

import itertools

import pytest

from pipeline.preparation.splits import labelled_contents, split_contents

CONTENTS = [f"content {number}" for number in range(400)]


def test_shares_are_met_on_average() -> None:
    splits = list(split_contents(CONTENTS, val=0.15, test=0.25, seed=1).values())
    assert splits.count("test") / 400 == pytest.approx(0.25, abs=0.06)
    assert splits.count("val") / 400 == pytest.approx(0.15, abs=0.05)


def test_a_growing_data_set_moves_no_content() -> None:
    few = split_contents(CONTENTS[:200], val=0.15, test=0.25, seed=1)
    many = split_contents(CONTENTS, val=0.15, test=0.25, seed=1)
    assert all(many[content] == split for content, split in few.items())


def test_neither_order_nor_repetition_matters_and_the_seed_does() -> None:
    splits = split_contents(CONTENTS, val=0.15, test=0.25, seed=1)
    assert split_contents([*reversed(CONTENTS), *CONTENTS], val=0.15, test=0.25, seed=1) == splits
    assert split_contents(CONTENTS, val=0.15, test=0.25, seed=2) != splits


@pytest.mark.parametrize("number", [3, 4, 5, 8])
@pytest.mark.parametrize("seed", range(20))
def test_small_sets_fill_every_split(number: int, seed: int) -> None:
    splits = split_contents(CONTENTS[:number], val=0.1, test=0.1, seed=seed)
    assert set(splits.values()) == {"train", "val", "test"}


def test_a_share_of_nothing_is_nothing() -> None:
    assert set(split_contents(CONTENTS, val=0.0, test=0.0, seed=1).values()) == {"train"}


def test_fewer_labels_are_a_part_of_more() -> None:
    chosen = [labelled_contents(CONTENTS, fraction=fraction, seed=1) for fraction in (0.0, 0.1, 0.2, 0.5, 1.0)]
    assert [len(contents) for contents in chosen] == [0, 40, 80, 200, 400]
    assert all(fewer <= more for fewer, more in itertools.pairwise(chosen))
