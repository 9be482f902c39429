"""LIVE-VQC: 585 videos from phones, of many sizes; every video is its own content."""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts

FACTS = Facts(
    title="LIVE-VQC",
    videos=585,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="shot by 80 people with 101 devices; each its own",
    home="live.ece.utexas.edu/research/LIVEVQC",
    licence=LIVE_NOTICE,
    request="yes",
    tree="data.mat\nVideo/A001.mp4 …",
    paper="https://arxiv.org/abs/1803.01761",
    read="yes",
    checked="data.mat, 585 entries",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[Labels(files=["data.mat"], columns={"name": "video_list", "overall": "mos"})],
    paths=["Video/{name}", "{name}"],
)
