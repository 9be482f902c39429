"""Out of domain: an embedding unlike those of training."""

import json

import numpy as np
import pytest

from pipeline.students.shared.domain import Domain, fit_domain

WIDTH = 24


def embeddings(count: int, seed: int, *, shift: float = 0.0) -> np.ndarray:
    """Points near a plane of three dimensions."""
    basis = np.random.default_rng(99).normal(size=(3, WIDTH))
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 3)) @ basis + 0.1 * generator.normal(size=(count, WIDTH)) + shift


def test_training_videos_lie_at_one_and_few_validation_videos_beyond_the_threshold():
    domain = fit_domain(embeddings(300, 1), embeddings(200, 2))
    assert np.sqrt(np.mean(domain.distance(embeddings(300, 1)) ** 2)) == pytest.approx(1.0, rel=0.05)
    assert (domain.distance(embeddings(200, 2)) > domain.threshold).mean() <= 0.05
    assert (domain.distance(embeddings(500, 3)) > domain.threshold).mean() < 0.1


def test_what_lies_off_the_plane_is_beyond_the_threshold_even_where_it_is_near_the_mean():
    domain = fit_domain(embeddings(300, 1), embeddings(100, 2))
    off = np.random.default_rng(5).normal(size=(50, WIDTH))
    assert (domain.distance(embeddings(1, 1).mean(axis=0) + off) > domain.threshold).all()
    assert (domain.distance(embeddings(50, 4, shift=5.0)) > domain.threshold).all()


def test_a_few_validation_videos_choose_their_greatest_distance():
    validation = embeddings(20, 2)
    domain = fit_domain(embeddings(60, 1), validation)
    assert domain.threshold == domain.distance(validation).max()


@pytest.mark.parametrize("count", [2, 5, 400])
def test_is_the_same_after_a_trip_through_json(count):
    domain = fit_domain(embeddings(count, 1), embeddings(30, 2))
    again = Domain.from_dict(json.loads(json.dumps(domain.as_dict())))
    points = embeddings(10, 3)
    np.testing.assert_array_equal(again.distance(points), domain.distance(points))
    assert (again.threshold, again.num_videos, again.num_validation) == (domain.threshold, count, 30)
    assert np.isfinite(domain.distance(points)).all()


def test_constant_embeddings_divide_nothing_by_zero():
    domain = fit_domain(np.ones((5, WIDTH)), np.ones((3, WIDTH)))
    assert domain.distance(np.ones((1, WIDTH)))[0] == 0.0
    assert np.isfinite(domain.distance(embeddings(1, 1)))[0]
