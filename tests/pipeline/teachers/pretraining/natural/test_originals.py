import numpy as np

from pipeline.synthesis.planes import Planes
from pipeline.teachers.pretraining.natural.originals import finish


def _flat():
    return Planes(*(np.full((6, side, side), value, np.float32) for side, value in ((64, 0.5), (32, 0.1), (32, -0.1))))


def test_originals_are_of_many_kinds_and_follow_from_their_seed():
    finished = [finish(np.random.default_rng(seed), _flat()) for seed in range(60)]
    again = finish(np.random.default_rng(7), _flat())
    assert np.array_equal(finished[7].y, again.y)
    brightness = np.array([video.y.mean() for video in finished])
    assert (brightness < 0.3).mean() > 0.05
    assert (brightness > 0.4).mean() > 0.4
    # Grain shows as differences in time between pixels of one flat frame.
    grain = np.array([np.diff(video.y[:, 20:40, 20:40], axis=0).std() * 219 for video in finished])
    assert 0.25 < (grain < 0.1).mean() < 0.75
    assert grain.max() > 1.5
    bars = np.array([min(video.y[:, :2].max(), video.y[:, -2:].max()) < 0.05 for video in finished])
    assert bars.sum() < 12
    assert all(np.isfinite(plane).all() for video in finished for plane in (video.y, video.u, video.v))
