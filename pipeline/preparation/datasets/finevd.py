"""FineVD: 6104 uploads from Bilibili, with an overall score and, where the label file has them, five others.

How the publisher lays out its own label files is not known here. Read is a table with the columns ``vid`` and ``mos``
(or ``overall``), and ``color noise artifact blur temporal`` where they are there. Every video is its own content.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

DIMENSIONS = ("color", "noise", "artifact", "blur", "temporal")
FACTS = Facts(
    title="FineVD",
    videos=6104,
    scores={name: ScoreScale(score_name="MOS", low=0.0, high=100.0) for name in ("overall", *DIMENSIONS)},
    contents="uploads from Bilibili; each its own, though several may be of one source",
    home="huggingface.co/datasets/IntMeGroup/FineVD",
    licence="not stated",
    request="yes",
    tree="FINEVD_metadata.csv\nvideos_all/videos_all_videos/<vid>.mp4 … (or all in one folder)",
    paper="https://arxiv.org/abs/2412.19238",
    note="Its authors divided the videos 4 : 1 : 1; their lists are not known here.",
    read="no",
    checked="a table of others with 5074 of the videos and the overall score",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["FINEVD_metadata.csv", "metadata.csv"],
            columns={"name": "vid", "overall": ("overall", "mos"), **{name: name for name in DIMENSIONS}},
        )
    ],
    paths=["videos_all/videos_all_videos/{name}.mp4", "videos_all/{name}.mp4", "{name}.mp4", "{name}"],
    video_id="{name}",
)
