"""LIVE-YT-HFR: 16 contents by 6 frame rates by 5 levels of VP9; the content stands in the name."""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts

FACTS = Facts(
    title="LIVE-YT-HFR",
    videos=480,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="16 sources by 6 frame rates by 5 levels; the source is the content",
    home="live.ece.utexas.edu/research/LIVE_YT_HFR/LIVE_YT_HFR/index.html",
    licence=LIVE_NOTICE,
    request="yes",
    tree="LIVEHFR_MOS.csv\n1Runner_crf_0_24fps.webm … (or .mp4, or .yuv; also in mp4/)",
    paper="https://arxiv.org/abs/2007.11634",
    read="no",
    checked="LIVEHFR_MOS.csv, 480 rows, as public loaders carry it",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[Labels(files=["LIVEHFR_MOS.csv"], columns={"name": "filename", "overall": "MOS"})],
    pattern=r"^(?P<content>.+)_crf_(?P<level>\d+)_(?P<fps>\d+)fps",
    derive=lambda _, __: {"codec": "vp9"},
    paths=["{name}.webm", "{name}.mp4", "mp4/{name}.mp4", "{content}/{name}.webm", "{name}.yuv"],
    video_id="{name}",
)
