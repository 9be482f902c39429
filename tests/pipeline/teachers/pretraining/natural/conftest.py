import numpy as np
import pytest
from PIL import Image

from pipeline.synthesis.encoding import Recipe, encode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render
from pipeline.teachers.pretraining.natural.material import clips, joined, photographs


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("natural")
    (folder / "photos").mkdir()
    (folder / "clips").mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        noise = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        noise.resize((400, 300)).save(folder / "photos" / f"{number}.jpg")
    clip = encode(render("leaves", ("n", 1), Shape(256, 256, 16)), Recipe(codec="h264", crf=40, preset="ultrafast"))
    (folder / "clips" / "a.mp4").write_bytes(clip)
    return joined(*photographs(folder / "photos"), *clips(folder / "clips", folder / "store")[:2])
