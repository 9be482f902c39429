"""Each kind of broken, odd or hostile video ends as a right result or a failed row with a reason, and soon."""

import hashlib
import re
import time
from pathlib import Path

import numpy as np
import pytest

from cache.build import Pool
from cache.store import open_store
from cache.store.store import Store
from pipeline.core.manifest import Video
from pipeline.core.settings import RuntimeSettings
from pipeline.rendering.render import render, view_policies
from pipeline.rendering.settings import RenderSettings
from pipeline.rendering.views import ViewParameters
from stages.params import load_params
from tests.faults.conftest import Corpus
from tests.faults.corpus import ANY, KINDS
from tests.imports import ROOT
from tests.tables import video_row
from tests.videos import index_of

PARAMS = load_params(ROOT / "params.yaml")
WHOLE_FRAME = {"policy": "squash", "sampling": "uniform", "num_frames": 8, "size": 64}
LOST = re.compile(r"took longer|died of signal|ended with status|unexpected|ran out of the memory")
"""How the reason of a video begins that its worker process did not survive."""
RIGHT = [kind for kind, how in KINDS.items() if how.frames is not None]
WRONG = [kind for kind, how in KINDS.items() if how.frames is None]
SECONDS = 60.0
"""For all of them together; on an idle core it is 1."""


def manifest_of(corpus: Corpus) -> list[Video]:
    """Rows as a careless hand would write them: nothing is known of a file but its bytes."""
    return [
        video_row(
            kind,
            path=str(path.relative_to(corpus.root / "data")),
            sha256=hashlib.sha256(path.read_bytes() if KINDS[kind].is_file else kind.encode()).hexdigest(),
            **dict.fromkeys(("width", "height", "fps", "num_frames")),
        )
        for kind, path in corpus.paths.items()
    ]


@pytest.fixture(scope="session")
def rendered(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return render_by("auto", corpus, tmp_path_factory.mktemp("rendered"))


def render_by(decoder: str, corpus: Corpus, place: Path) -> Store:
    settings = RenderSettings.parse(
        PARAMS.render.model_dump()
        | {"decoder": decoder, "view_sets": {"main": WHOLE_FRAME}, "views_per_video": 1, "max_failed": len(KINDS)},
        "render",
    )
    runtime = RuntimeSettings.parse(
        PARAMS.runtime.model_dump() | {"workers": 1, "decode_timeout_seconds": 20.0, "decode_memory_bytes": 1 << 30},
        "runtime",
    )
    start = time.monotonic()
    render(
        settings,
        view_policies(settings, None),
        manifest_of(corpus),
        data_root=corpus.root / "data",
        store=place / "clips.zarr",
        runtime=runtime,
        pool=Pool(place / "pool"),
    )
    assert time.monotonic() - start < SECONDS
    return open_store(place / "clips.zarr")


def test_there_are_many_kinds(corpus: Corpus) -> None:
    assert len(RIGHT) >= 30
    assert len(WRONG) >= 50
    assert len(set(corpus.paths.values())) == len(KINDS)


@pytest.mark.parametrize("kind", RIGHT)
def test_what_can_be_decoded_gives_the_right_frames(rendered: Store, kind: str) -> None:
    row = int(rendered.rows_of(kind)[0])
    assert rendered.status[row] == 1, rendered.reasons[row]
    check_frames(rendered, row)
    last, frames = frames_of(rendered, row)[-1], KINDS[kind].frames
    assert frames is not None
    if frames != ANY:
        assert frames - 1 - frames // 6 <= last < frames


def frames_of(store: Store, row: int) -> tuple[int, ...]:
    """The frames that a clip is made of, as its view says."""
    return ViewParameters.from_json(store.column("main_view")[row]).frames


def check_frames(store: Store, row: int) -> None:
    """A clip's pixels must say the numbers of its frames, each once."""
    how, asked = KINDS[store.video_ids[row]], frames_of(store, row)
    assert len(set(asked)) == len(asked)
    clip = store.read("main", [row])[0]
    seen = [index_of(np.rot90(frame, how.rotation // 90)) & how.bits for frame in clip]
    assert seen == [(how.first + index % how.cycle) & how.bits for index in asked]


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_decoded_is_a_failed_row_with_its_reason(rendered: Store, kind: str) -> None:
    row = int(rendered.rows_of(kind)[0])
    assert rendered.status[row] == 2
    assert re.search(KINDS[kind].reason, rendered.reasons[row]), rendered.reasons[row]
    assert not LOST.search(rendered.reasons[row]), rendered.reasons[row]


@pytest.mark.parametrize("decoder", ["pyav", "decord", "yuv"])
def test_a_decoder_of_ones_own_choice_is_right_or_refuses(corpus: Corpus, tmp_path: Path, decoder: str) -> None:
    store = render_by(decoder, corpus, tmp_path)
    for row in range(len(store)):
        if store.status[row] == 1:
            check_frames(store, row)
        else:
            assert not LOST.search(store.reasons[row]), store.reasons[row]


def test_nothing_of_the_corpus_damages_the_store(rendered: Store) -> None:
    assert rendered.verify() == []
    assert sorted(set(rendered.video_ids)) == sorted(KINDS)
