import csv

import numpy as np
import pytest
from PIL import Image

from pipeline.synthesis.encoding import Recipe, encode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render
from pipeline.teachers.pretraining.natural.footage import FootageError
from pipeline.teachers.pretraining.natural.material import (
    Material,
    MaterialError,
    account,
    clips,
    held_back,
    joined,
    natural_material,
    photographs,
)


def _photographs(folder, count, size=(260, 240)):
    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.full((size[1], size[0], 3), number, np.uint8)).save(folder / f"{number:03d}.png")
    return folder


def test_a_rule_by_name_holds_back_about_as_many_as_it_says():
    names = [f"{number}.jpg" for number in range(4000)]
    chosen = [name for name in names if held_back(name, ("evaluation", 10))]
    assert 320 < len(chosen) < 480
    assert chosen == [name for name in names if held_back(name, ("evaluation", 10))]
    assert chosen != [name for name in names if held_back(name, ("unseen", 10))]


def test_photographs_are_held_back_by_name_and_by_source(tmp_path):
    folder = _photographs(tmp_path / "photos", 120)
    training, evaluation = photographs(folder)
    assert set(training.photographs) | set(evaluation.photographs) == set(folder.iterdir())
    assert 0 < len(evaluation.photographs) < 20
    assert training.sizes == ((260, 240),) * len(training.photographs)
    sources = [next(name for name in map(str, range(99)) if held_back(name, ("evaluation", 6)) is chosen)
               for chosen in (True, False)]  # fmt: skip
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["file", "source"])
        table.writeheader()
        table.writerows({"file": f"{n:03d}.png", "source": sources[n % 2]} for n in range(120))
    training, evaluation = photographs(folder)
    assert {int(path.stem) % 2 for path in training.photographs} == {1}
    assert {path.name for path in evaluation.photographs} >= {f"{n:03d}.png" for n in range(0, 120, 2)}


def test_folders_that_do_not_fit_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(MaterialError, match="name a folder of photographs"):
        photographs(tmp_path / "none")
    with pytest.raises(MaterialError, match="expected sides of at least 240 px"):
        photographs(_photographs(tmp_path / "small", 1, (64, 300)))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_text("no", encoding="utf-8")
    with pytest.raises(MaterialError, match="not a picture"):
        photographs(tmp_path / "broken")
    with pytest.raises(FootageError, match="has no clip"):
        clips(tmp_path, tmp_path / "store")


def test_clips_that_cannot_serve_are_named_and_the_others_serve(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, width in (("large", 320), ("small", 160)):
        file = encode(
            render("leaves", ("m", 1), Shape(width, 240, 9)), Recipe(codec="h264", crf=40, preset="ultrafast")
        )
        (folder / f"{name}.mp4").write_bytes(file)
    training, evaluation, refused = clips(folder, tmp_path / "store")
    assert [clip.name for clip in training.clips + evaluation.clips] == ["large.mp4"]
    assert len(refused) == 1
    assert "small.mp4: got 160 x 240 px" in refused[0]


def test_material_is_none_without_folders_and_joined_with_both(tmp_path, capsys):
    assert natural_material(None, None, tmp_path) is None
    folder = _photographs(tmp_path / "photos", 30)
    found = natural_material(folder, None, tmp_path)
    assert found is not None
    assert len(joined(*found).photographs) == 30
    assert capsys.readouterr().out == ""


def test_a_table_of_sources_counts_what_trained_and_what_was_held_back(tmp_path):
    folder = _photographs(tmp_path / "photos", 5)
    (tmp_path / "photos.csv").write_text(
        "file,source,licence\n000.png,b,CC0\n001.png,a,MIT\n002.png,b,CC0\n003.png,b,MIT\n", encoding="utf-8"
    )
    paths = sorted(folder.iterdir())
    lines = account(folder, Material(photographs=(*paths[:2], paths[4])), Material(photographs=tuple(paths[2:4])))
    assert lines[2:] == [
        "| a | MIT | 1 | 0 |",
        "| b | CC0 | 1 | 1 |",
        "| b | MIT | 0 | 1 |",
        "| not stated | not stated | 1 | 0 |",
    ]
    assert account(tmp_path, Material(photographs=tuple(paths)), Material())[2:] == []
