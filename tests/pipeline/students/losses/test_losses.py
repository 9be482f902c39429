"""What every loss file must do, and one number worked by hand for each."""

import inspect
import math

import pytest
import torch

from pipeline.core.registry import UnknownName, find, names
from pipeline.students.data.batch import COLUMNS, Batch
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.students.shared.output import StudentOutput

TARGETS = ("embedding", "embedding_normed", "logits", "teacher_score", "layers", "tokens")


def make_prediction(size: int, seed: int = 0) -> StudentOutput:
    generator = torch.Generator().manual_seed(seed)
    return StudentOutput(
        score=torch.rand(size, generator=generator).requires_grad_(),
        embedding=torch.randn(size, 6, generator=generator).requires_grad_(),
        layers=torch.randn(size, 4, 6, generator=generator).requires_grad_(),
        tokens=torch.randn(size, 2, 4, 4, 6, generator=generator).requires_grad_(),
    )


def make_batch(size: int, labelled: list[bool], seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        clips=torch.zeros(size, 2, 4, 4, 3, dtype=torch.uint8),
        mos=torch.rand(size, generator=generator),
        labelled=torch.tensor(labelled),
        targets={
            "embedding_normed": torch.randn(size, 6, generator=generator),
            "teacher_score": torch.rand(size, generator=generator),
            "layers": torch.randn(size, 3, 6, generator=generator),
            "tokens": torch.randn(size, 2, 2, 2, 6, generator=generator),
        },
        group=torch.arange(size) % 2,
    )


def value(name: str, **columns) -> float:
    """The loss on rows given by their columns; what is left out is zero."""
    size = len(next(iter(columns.values())))
    tensors = {key: torch.tensor(rows) for key, rows in columns.items()}
    zeros = torch.zeros(size)
    prediction = StudentOutput(
        score=tensors.get("score", zeros),
        embedding=tensors.get("embedding", zeros[:, None]),
        layers=tensors.get("layers"),
    )
    batch = Batch(
        clips=torch.zeros(size, 1, 1, 1, 3, dtype=torch.uint8),
        mos=tensors.get("mos", zeros),
        labelled=tensors.get("labelled", torch.ones(size, dtype=torch.bool)),
        targets={key: rows for key, rows in tensors.items() if key in TARGETS}
        | {"layers": tensors.get("cached", zeros)},
        group=tensors.get("group"),
    )
    return float(find("students.losses", name).loss(prediction, batch))


@pytest.mark.parametrize("name", names("students.losses"))
class TestEveryLoss:
    def test_states_its_formula_source_and_needs(self, name):
        module = find("students.losses", name)
        assert "``" in (module.__doc__ or "")
        assert "Ref:" in module.__doc__ or "Ours" in module.__doc__
        assert module.NEEDS
        assert set(module.NEEDS) <= {*COLUMNS, *TARGETS}
        assert list(inspect.signature(module.loss).parameters) == ["prediction", "batch"]

    @pytest.mark.parametrize("size", [1, 2, 5])
    @pytest.mark.parametrize("labels", ["all", "some", "none"])
    def test_is_a_finite_scalar_with_a_finite_gradient(self, name, size, labels):
        labelled = [labels == "all" or (labels == "some" and row % 2 == 0) for row in range(size)]
        prediction = make_prediction(size)
        result = find("students.losses", name).loss(prediction, make_batch(size, labelled))
        assert result.shape == ()
        assert math.isfinite(result.item())
        assert result.item() >= 0.0
        result.backward()
        for tensor in (prediction.score, prediction.embedding, prediction.layers, prediction.tokens):
            assert tensor.grad is None or torch.isfinite(tensor.grad).all()

    def test_never_reads_the_score_of_an_unlabelled_row(self, name):
        labelled = [True, False, True, False, True]
        changed, batch = make_batch(5, labelled), make_batch(5, labelled)
        changed.mos[~changed.labelled] = 77.0
        loss = find("students.losses", name).loss
        assert loss(make_prediction(5), batch).item() == loss(make_prediction(5), changed).item()

    def test_does_not_depend_on_the_order_of_rows(self, name):
        prediction, batch = make_prediction(5), make_batch(5, [True, True, False, True, True])
        order = torch.tensor([3, 1, 4, 0, 2])
        shuffled = StudentOutput(*(rows[order] for rows in vars(prediction).values() if rows is not None))
        targets = {key: rows[order] for key, rows in batch.targets.items()}
        reordered = Batch(batch.clips, batch.mos[order], batch.labelled[order], targets, batch.group[order])
        loss = find("students.losses", name).loss
        assert loss(prediction, batch).item() == pytest.approx(loss(shuffled, reordered).item(), rel=1e-5)


def test_mos_regression_by_hand():
    assert value("mos_regression", score=[0.5, 0.2, 0.9], mos=[0.3, 0.6, 0.0], labelled=[True, True, False]) == (
        pytest.approx((0.04 + 0.16) / 3)
    )


def test_teacher_score_by_hand_uses_unlabelled_rows():
    assert value("teacher_score", score=[0.5, 0.2], teacher_score=[0.4, 0.5], labelled=[False, False]) == pytest.approx(
        (0.01 + 0.09) / 2
    )


def test_feature_smoothl1_by_hand():
    # LayerNorm of (1, 3) is (−1, 1) and of (5, 1) is (1, −1): each differs by 2, where SmoothL1 with beta 2 is 2 − 1.
    assert value("feature_smoothl1", embedding=[[1.0, 3.0]], embedding_normed=[[5.0, 1.0]]) == pytest.approx(
        1.0, abs=1e-4
    )
    # (3, 1, 2) normalises to (1, −1, 0)·√1.5 and (2, 1, 3) to (0, −1, 1)·√1.5: squares 1.5, 0, 1.5, over 2·beta = 4.
    assert value("feature_smoothl1", embedding=[[3.0, 1.0, 2.0]], embedding_normed=[[2.0, 1.0, 3.0]]) == pytest.approx(
        (1.5 + 1.5) / 4 / 3, abs=1e-4
    )


def test_cosine_by_hand():
    assert value(
        "cosine", embedding=[[1.0, 0.0], [3.0, 4.0]], embedding_normed=[[0.0, 2.0], [3.0, 4.0]]
    ) == pytest.approx((2.0 + 0.0) / 2)


def test_layers_by_hand_match_the_last_blocks():
    layers = [[[9.0, 9.0], [1.0, 0.0], [0.0, 1.0]]]
    assert value("layers", layers=layers, cached=[[[2.0, 0.0], [0.0, -1.0]]]) == pytest.approx((0.0 + 4.0) / 2)
    with pytest.raises(ValueError, match="3 cached blocks to match; the student has 1"):
        value("layers", layers=[[[1.0, 1.0]]], cached=[[[1.0, 1.0]] * 3])


def test_tokens_by_hand_leave_out_what_the_step_did_not_see():
    tokens = torch.tensor([[[[[0.0, 0.0], [3.0, 5.0]]], [[[0.0, 0.0], [0.0, 0.0]]]]])
    seen = torch.tensor([[[False, True]], [[False, False]]])
    batch = Batch(torch.zeros(1), torch.zeros(1), torch.ones(1, dtype=torch.bool))
    batch.targets = {"tokens": torch.tensor([[[[[5.0, 1.0]]], [[[9.0, 1.0]]]]])}
    prediction = StudentOutput(torch.zeros(1), torch.zeros(1, 1), tokens=tokens, seen=seen)
    assert find("students.losses", "tokens").loss(prediction, batch).item() == pytest.approx(2.0**2 / 4.0, abs=1e-4)


def test_tokens_by_hand_average_the_students_grid():
    # Two columns of the student's grid, (1, 3) and (3, 5), average to (2, 4), which normalises to (−1, 1).
    # The cached cell (5, 1) normalises to (1, −1): each channel differs by 2, where SmoothL1 with beta 2 is 2 − 1.
    prediction = StudentOutput(torch.zeros(1), torch.zeros(1, 1), tokens=torch.tensor([[[[[1.0, 3.0], [3.0, 5.0]]]]]))
    batch = make_batch(1, [True])
    batch.targets = {"tokens": torch.tensor([[[[[5.0, 1.0]]]]])}
    loss = find("students.losses", "tokens").loss
    assert loss(prediction, batch).item() == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="this one has none"):
        loss(StudentOutput(torch.zeros(1), torch.zeros(1, 1)), batch)


def test_tokens_by_hand_where_neither_grid_divides_the_other():
    # Three columns (0, 4), (6, 0), (0, 4) against two cells: each cell is one whole column and half of the middle one,
    # so (2, 8/3), which normalises to (-1, 1). The cached cells (1, 5) and (5, 1) normalise to (-1, 1) and (1, -1).
    three = torch.tensor([[[[[0.0, 4.0], [6.0, 0.0], [0.0, 4.0]]]]])
    two = torch.tensor([[[[[1.0, 5.0], [5.0, 1.0]]]]])
    loss = find("students.losses", "tokens").loss
    for student, cached in ((three, two), (two, three)):
        batch = make_batch(1, [True])
        batch.targets = {"tokens": cached}
        prediction = StudentOutput(torch.zeros(1), torch.zeros(1, 1), tokens=student)
        assert loss(prediction, batch).item() == pytest.approx((0.0 + 1.0) / 2, abs=1e-3)


def test_relational_by_hand():
    # One pair only: both distances are their own mean, so nothing differs.
    assert value("relational", embedding=[[0.0], [3.0]], embedding_normed=[[0.0, 0.0], [1.0, 1.0]]) == pytest.approx(
        0.0
    )
    # Student on a line at 0, 1, 2: distances 1, 2, 1 over 4/3; teacher: an equilateral triangle, all 1.
    # Distances differ by 1/4, 1/2, 1/4. Angles on the line: cosines 1, −1, 1; in the triangle 1/2 each.
    triangle = [[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]]
    distance = (0.25**2 + 0.5**2 + 0.25**2) / 2 / 3
    angle = (0.5**2 / 2 + (1.5 - 0.5) + 0.5**2 / 2) / 3
    assert value("relational", embedding=[[0.0], [1.0], [2.0]], embedding_normed=triangle) == pytest.approx(
        distance + 2 * angle, abs=1e-5
    )


def test_group_contrastive_by_hand():
    # Rows 0 and 1 agree (cosine 1) and share a group; row 2 is orthogonal and alone; row 3 has no group.
    expected = -math.log(math.exp(10) / (math.exp(10) + math.exp(0)))
    assert value(
        "group_contrastive",
        embedding=[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        group=[0, 0, 1, -1],
    ) == pytest.approx(expected, abs=1e-6)


def test_ranking_by_hand():
    # Scores 1, 3, 2 against truth 1, 2, 3: only the pair (1, 2) is wrong, by 1, and counts from both sides.
    assert value("ranking", score=[1.0, 3.0, 2.0], mos=[1.0, 2.0, 3.0]) == pytest.approx(2.0 / 6.0 / (1.0 + 1.0))
    assert value("ranking", score=[1.0, 2.0], mos=[1.0, 2.0]) == 0.0


def test_group_ranking_by_hand_counts_pairs_of_one_group():
    columns = {"score": [1.0, 3.0, 2.0], "mos": [1.0, 2.0, 3.0]}
    assert value("group_ranking", **columns, group=[0, 0, 1]) == 0.0
    assert value("group_ranking", **columns, group=[0, 1, 1]) == pytest.approx(2.0 / 2.0 / (1.0 + 1.0))


def test_plcc_by_hand():
    assert value("plcc", score=[1.0, 2.0, 3.0], mos=[10.0, 20.0, 30.0]) == pytest.approx(0.0, abs=1e-6)
    assert value("plcc", score=[3.0, 2.0, 1.0], mos=[1.0, 2.0, 3.0]) == pytest.approx(2 / 4, abs=1e-6)
    # (1, 2, 3) and (1, 3, 2) correlate by 1/2.
    assert value("plcc", score=[1.0, 2.0, 3.0], mos=[1.0, 3.0, 2.0]) == pytest.approx(0.5 / 4 + 0.75 / 8, abs=1e-6)


def test_weights_sum_and_zero_switches_off():
    losses = weighted_losses({"mos_regression": 2.0, "teacher_score": 0.5, "cosine": 0.0})
    assert losses.needs == ["mos", "teacher_score"]
    total, values = losses(make_prediction(4), make_batch(4, [True] * 4))
    assert total.item() == pytest.approx(2 * values["mos_regression"] + 0.5 * values["teacher_score"])
    assert set(values) == {"mos_regression", "teacher_score"}
    with pytest.raises(UnknownName, match="did you mean 'cosine'"):
        weighted_losses({"cosin": 1.0})
