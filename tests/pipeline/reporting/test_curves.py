from pipeline.reporting.files import Table
from pipeline.reporting.panels import experiments, training


def table(text):
    lines = [tuple(line.split(",")) for line in text.split()]
    return Table(lines[0], tuple(lines[1:]))


def test_columns_of_one_kind_share_a_figure():
    columns = table("epoch,train_loss,val_loss,val_srcc,learning_rate,note 1,3,4,0.1,0.1,a 2,2,3,0.5,0.05,b")
    figures = training.training_curves("distill", columns, 2.0)
    assert [figure.caption for figure in figures] == ["distill: loss", "distill: val_srcc", "distill: learning_rate"]
    assert list(figures[0].legend) == ["train_loss", "val_loss"]


def test_a_table_without_numeric_epochs_has_no_curves():
    assert training.training_curves("adapt", table("epoch,loss first,1"), None) == []


def test_few_labels_has_a_line_per_variant():
    study = table(
        "fraction,variant,srcc,srcc_low,srcc_high 0.1,alone,0.4,0.3,0.5 1,alone,0.8,0.7,0.9 0.1,baseline,0.6,,"
    )
    (figure,) = experiments.few_label_curves(study)
    assert list(figure.legend) == ["alone", "ridge on teacher embeddings"]


def test_few_labels_says_whether_it_is_of_splits_or_of_data_sets():
    captions = [
        experiments.few_label_curves(table(f"fraction,srcc,{drawn} 0.1,0.4,3 1,0.8,3"))[0].caption
        for drawn in ("splits", "data_sets", "other")
    ]
    assert "splits of one data set" in captions[0]
    assert "data sets of the default's generator" in captions[1]
    assert len(set(captions)) == 3


def test_few_labels_draws_what_a_variant_has_over_the_student_alone():
    header = "fraction,variant,srcc,over_alone,over_alone_low,over_alone_high"
    study = table(
        f"{header} 0.1,alone,0.4,0,0,0 1,alone,0.8,0,0,0 0.1,taught,0.5,0.1,0.05,0.15 1,taught,0.8,0,-0.1,0.1"
    )
    levels, gain = experiments.few_label_curves(study)
    assert list(levels.legend) == ["alone", "taught"]
    assert list(gain.legend) == ["taught"]
    assert gain.legend["taught"] == levels.legend["taught"]
    assert "over_alone over fraction" in gain.svg


def test_few_labels_with_a_column_per_variant():
    (figure,) = experiments.few_label_curves(table("labelled,srcc_alone,srcc_taught 0.1,0.4,0.5 1,0.8,0.8"))
    assert list(figure.legend) == ["srcc_alone", "srcc_taught"]


def test_few_labels_without_srcc_is_a_table_only():
    assert experiments.few_label_curves(table("fraction,rmse 0.1,3")) == []
