"""The card of a student: complete from its own record, honest about what is not known."""

import re

import pytest
from huggingface_hub import ModelCard

from pipeline.scoring.card import Additions, CardError, Figures, card_text, read_figures
from tests.scoring_models import make_student

RECORD = {
    "digests": {"clips": "c" * 64, "targets": "d" * 64},
    "teacher": {
        "preprocessing": {"family": "internvideo2_tiny"},
        "architecture": {"embed_dim": 192, "depth": 5},
        "weights_sha256": "e" * 64,
    },
    "distill": {"seed": 1, "learning_rate": 0.001},
    "metrics": {
        "parameters": 1234567,
        "flops": 2_000_000,
        "best_epoch": 3,
        "epochs": 9,
        "val_all_views_srcc": 0.8123,
        "val_all_views_srcc_low": 0.7,
        "val_all_views_srcc_high": 0.9,
        "train_videos": 60,
        "labelled_train_videos": 50,
        "val_videos": 12,
    },
}
SCORES = {"srcc": 0.75, "srcc_low": 0.6, "srcc_high": 0.85, "krcc": 0.5, "plcc_logistic4": 0.8, "rmse_logistic4": 9.0}


@pytest.fixture(scope="module")
def config():
    return make_student().config.to_dict() | {"provenance": RECORD}


def test_says_what_the_student_is_and_was_made_from(config):
    card = card_text(config, Additions())
    for words in (
        "| parameters | 1,234,567 |",
        "| validation SRCC | 0.812 (0.700 … 0.900); the epoch was chosen on this split",
        "60, of which 50 with a score",
        f"`internvideo2_tiny`, width 192, depth 5, weights sha256 `{'e' * 64}`",
        f"| clips | sha256 `{'c' * 64}` |",
        f"| targets | sha256 `{'d' * 64}` |",
        "0 (worst) to 100 (best), residual deviation 5 on 20 validation videos of 20 contents, interval factor 2",
        "learning_rate: 0.001",
        "Not measured when this card was written",
        "license_name: to-be-filled-in",
        "Licence of the teacher's weights:",
        "teachonce score --model",
    ):
        assert words in card
    assert not re.search(r"[{}]", card)


def test_test_figures_have_intervals(config):
    tested = SCORES | {"interval_coverage": 0.94, "interval_width": 0.5}
    metrics = {"student": tested, "mean": SCORES | dict.fromkeys(("srcc", "srcc_low", "srcc_high"), float("nan"))}
    card = card_text(config, Additions(figures=Figures(metrics=metrics, num_videos=40, model="x")))
    assert "| student | 0.750 (0.600 … 0.850) | 0.500 | 0.800 | 9.00 |" in card
    assert "| mean | undefined |" in card
    assert "held 94 % of the true ones; their mean width is 50 % of the scale" in card
    assert "Not measured" not in card
    data = ModelCard(card).data
    assert data.license == "other"
    assert {result.metric_type: result.metric_value for result in data.eval_results}["srcc"] == 0.75


def test_a_student_without_scores_or_domain_says_so(config):
    metrics = {key: value for key, value in RECORD["metrics"].items() if not key.startswith("val_all")}
    bare = config | {"calibrations": {}, "domain": None, "provenance": RECORD | {"metrics": metrics}}
    card = card_text(bare, Additions())
    assert "Not calibrated: no validation video had a score." in card
    assert "does not know which videos are unlike" in card
    assert "validation SRCC" not in card


def test_what_is_missing_is_told(config, tmp_path):
    with pytest.raises(CardError, match="does not have its digests, metrics, teacher; run distill again"):
        card_text(config | {"provenance": {"distill": {}}}, Additions())
    with pytest.raises(CardError, match="run the stage evaluate first"):
        read_figures(tmp_path)
