"""LIVE-YT-Gaming: 600 gaming videos from YouTube, 360p to 1080p; the game is the content."""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts

FACTS = Facts(
    title="LIVE-YT-Gaming",
    videos=600,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="59 games; the game is the content",
    home="live.ece.utexas.edu/research/LIVE-YT-Gaming",
    licence=LIVE_NOTICE,
    request="yes",
    tree="LIVEYTGaming.mat (or metadata.csv)\nmp4/<name>.mp4 …",
    paper="https://arxiv.org/abs/2204.00128",
    read="no",
    checked="LIVEYTGaming.mat, 600 entries, and a table of the same scores, as public loaders carry them",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["LIVEYTGaming.mat", "metadata.csv", "LIVE_YT_GAMING_metadata.csv"],
            columns={"name": ("video_list", "vid"), "overall": ("MOS", "mos")},
        )
    ],
    pattern=r"^(?P<content>.+)-\d+",
    paths=["mp4/{name}.mp4", "{name}.mp4"],
    video_id="{name}",
)
