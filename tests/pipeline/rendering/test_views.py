"""Views as parameters: what is chosen, what is drawn, and what they are drawn from."""

import json

import pytest

from pipeline.rendering.draws import Draws
from pipeline.rendering.policy import ViewError, ViewPolicy
from pipeline.rendering.sampling import uniform_indices
from pipeline.rendering.views import ViewParameters, draw_view

DIGEST = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
POLICIES = {
    "resize": ViewPolicy(policy="resize", sampling="uniform", num_frames=4, size=56),
    "squash": ViewPolicy(policy="squash", sampling="middle", num_frames=4, size=56),
    "crop": ViewPolicy(policy="crop", sampling="window", num_frames=4, size=56),
    "fragments": ViewPolicy(policy="fragments", sampling="uniform", num_frames=4, size=56, grid=4),
}


def view_of(
    policy: ViewPolicy, view: int = 0, *, height: int = 90, width: int = 160, **changed: object
) -> ViewParameters:
    values = {"num_frames": 60, "height": height, "width": width, "digest": DIGEST, "view": view} | changed
    return draw_view(policy, **values)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize(
    ("height", "width"), [(90, 160), (160, 90), (57, 57), (40, 70), (1, 1), (2160, 3840), (61, 333)]
)
def test_every_patch_lies_inside_its_plane(policy: ViewPolicy, height: int, width: int) -> None:
    for view in range(6):
        drawn = view_of(policy, view, height=height, width=width)
        assert len(drawn.frames) == policy.num_frames
        assert len(drawn.patches) == policy.grid**2
        assert drawn.patch * policy.grid == policy.size
        for top, left in drawn.patches:
            assert 0 <= top <= drawn.plane[0] - drawn.patch
            assert 0 <= left <= drawn.plane[1] - drawn.patch
        if policy.policy in ("crop", "fragments") and min(height, width) >= policy.size:
            assert drawn.plane == (height, width)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_parameters_survive_json(policy: ViewPolicy) -> None:
    drawn = view_of(policy, 3)
    assert ViewParameters.from_json(drawn.to_json()) == drawn
    assert json.loads(drawn.to_json())["frames"] == list(drawn.frames)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"frames":[1],"plane":[3],"patches":[],"patch":2}', '{"frames":["x"]}']
)
def test_other_text_is_no_view(text: str) -> None:
    with pytest.raises(ViewError, match="cannot be read"):
        ViewParameters.from_json(text)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_views_differ_by_number_and_by_video_and_by_nothing_else(policy: ViewPolicy) -> None:
    drawn = [view_of(policy, view) for view in range(5)]
    assert len({view.to_json() for view in drawn}) == 5
    assert [view_of(policy, view) for view in reversed(range(5))] == drawn[::-1]
    assert view_of(policy, 1, digest=OTHER) != drawn[1]
    assert view_of(policy, 0, digest=OTHER) == drawn[0]


def test_view_0_is_centred() -> None:
    assert view_of(POLICIES["crop"]).patches == ((17, 52),)
    assert view_of(POLICIES["resize"]).plane == (56, 99)
    assert view_of(POLICIES["resize"]).patches == ((0, 22),)
    assert view_of(POLICIES["squash"]).plane == (56, 56)
    rows = sorted({top for top, _ in view_of(POLICIES["fragments"]).patches})
    assert rows == [4, 26, 49, 71]


def test_fragments_take_one_patch_from_each_cell() -> None:
    policy = POLICIES["fragments"]
    for view in range(20):
        for cell, (top, left) in enumerate(view_of(policy, view).patches):
            row, column = divmod(cell, policy.grid)
            assert row * 90 // 4 <= top <= (row + 1) * 90 // 4 - policy.patch
            assert column * 40 <= left <= (column + 1) * 40 - policy.patch


def test_frames_are_the_rules_and_shared_between_view_sets() -> None:
    expected = tuple(uniform_indices(60, 4).tolist())
    for view in range(4):
        assert view_of(POLICIES["resize"], view).frames == view_of(POLICIES["fragments"], view).frames == expected


def test_the_window_moves_but_stays_in_the_video() -> None:
    starts = set()
    for view in range(1, 200):
        frames = view_of(POLICIES["crop"], view).frames
        assert [later - frames[0] for later in frames] == [0, 8, 16, 24]
        assert 0 <= frames[0] <= frames[-1] <= 59
        starts.add(frames[0])
    assert starts >= {0, 35}
    assert view_of(POLICIES["crop"], 0).frames == (14, 22, 30, 38)


def test_a_video_too_short_fails_unless_frames_may_repeat() -> None:
    with pytest.raises(ViewError, match="has 3 frames; its view needs 4"):
        view_of(POLICIES["resize"], num_frames=3)
    with pytest.raises(ViewError, match="needs 25"):
        view_of(POLICIES["crop"], num_frames=24)
    for policy in POLICIES.values():
        for view in range(3):
            assert set(view_of(policy, view, num_frames=1, repeat=True).frames) == {0}


def test_draws_are_fixed_for_ever() -> None:
    draws = Draws(DIGEST, view=1, purpose=2)
    assert [draws.below(1000) for _ in range(6)] == FIRST_DRAWS


def test_draws_cover_their_range_evenly() -> None:
    draws = Draws(DIGEST, view=3, purpose=1)
    counts = [0] * 7
    for _ in range(7000):
        counts[draws.between(0, 6)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


FIRST_DRAWS = [744, 710, 148, 748, 104, 300]
