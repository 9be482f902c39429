"""What a stopped study keeps: its rows, as long as nothing that they depend on has changed."""

import json

from benchmarks import ledger
from benchmarks.ledger import Ledger, code_digest, context_of, digests_of, write_table
from pipeline.manifest import read_labels, write_labels
from pipeline.params import load_params
from tests.tiny_run import PARAMS, write_tiny_run


def test_rows_are_kept_for_the_same_context_only(tmp_path):
    path = tmp_path / "kept/finished.json"
    first = Ledger(path, {"epochs": 3, "seeds": (1, 2)})
    first.add([{"seed": 1, "srcc": 0.5}, {"seed": 1, "srcc": float("nan")}])
    again = Ledger(path, {"epochs": 3, "seeds": (1, 2)})
    assert again.has(seed=1, srcc=0.5)
    assert not again.has(seed=2)
    assert not again.has(seed=1, srcc=0.6)
    assert Ledger(path, {"epochs": 4, "seeds": (1, 2)}).rows == []


def test_rows_of_another_context_are_told_and_kept_beside(tmp_path, capsys):
    path = tmp_path / "finished.json"
    for epochs, code in ((3, "a"), (4, "b"), (4, "c")):
        new = {"views": None} if epochs == 4 else {}
        kept = Ledger(path, {"settings": {"distill": {"epochs": epochs, "seed": 1} | new}, "code": code})
        assert kept.rows == []
        kept.add([{"epochs": epochs, "code": code}])
    first, second = capsys.readouterr().err.splitlines()
    assert (
        "its 1 rows were finished with other values of settings.distill.epochs, settings.distill.views, code" in first
    )
    assert "they are kept in finished-older.json" in first
    assert "other values of code; they are kept in finished-older-2.json" in second
    found = [json.loads((tmp_path / f"finished{end}.json").read_text())["rows"] for end in ("-older", "-older-2", "")]
    assert found == [[{"epochs": epochs, "code": code}] for epochs, code in ((3, "a"), (4, "b"), (4, "c"))]


def test_the_context_is_settings_data_and_code(tmp_path, monkeypatch):
    params, paths = load_params(PARAMS), write_tiny_run(tmp_path)
    before = context_of(params, paths)
    assert context_of(params, paths) == before
    longer = params.model_copy(update={"distill": params.distill.model_copy(update={"epochs": 99})})
    assert context_of(longer, paths) != before
    labels = read_labels(paths.labels)
    write_labels(paths.labels, labels[1:])
    assert context_of(params, paths) != before
    here = code_digest()
    monkeypatch.setattr(ledger, "_modules", lambda: iter([ledger._ROOT / "benchmarks/ledger.py"]))
    assert code_digest() != here


def test_weights_are_told_by_their_bytes_whatever_their_card_says(tmp_path):
    folder = tmp_path / "tiny"
    assert digests_of(folder) == {}
    folder.mkdir()
    for name, text in (("model.safetensors", "one"), ("config.json", "{}"), ("README.md", "card")):
        (folder / name).write_text(text)
    before = digests_of(folder)
    assert set(before) == {"tiny/model.safetensors", "tiny/config.json"}
    assert digests_of(folder / "model.safetensors") == {"model.safetensors": before["tiny/model.safetensors"]}
    (folder / "README.md").write_text("another card")
    assert digests_of(folder) == before
    (folder / "model.safetensors").write_text("two")
    assert digests_of(folder) != before


def test_a_table_has_its_columns_and_no_others(tmp_path):
    write_table(tmp_path / "deep/table.csv", ("seed", "srcc"), [{"seed": 1, "srcc": 0.5, "note": "left out"}])
    assert (tmp_path / "deep/table.csv").read_text() == "seed,srcc\n1,0.5\n"
