"""YouTube-UGC: about 1380 uploads in 15 categories, 360p to 4K; every video is its own content.

The publisher's spreadsheet is read as it is, or saved as CSV. The score of the whole video trains by default; those of
its chunks, which begin at 0, 5 and 10 s, are carried beside it.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

_SCALE = ScoreScale(score_name="MOS", low=1.0, high=5.0)
FACTS = Facts(
    title="YouTube-UGC",
    videos=1380,
    scores={"overall": _SCALE, "chunk00": _SCALE, "chunk05": _SCALE, "chunk10": _SCALE},
    contents="20 s of an upload; each its own",
    home="media.withyoutube.com/ugc-dataset (gs://ugc-dataset)",
    licence="videos CC BY; scores not stated",
    request="no",
    tree="MOS_for_YouTube_UGC_dataset.xlsx (or saved as mos.csv)\n"
    "original_videos_h264/<vid>_crf_10_ss_00_t_20.0.mp4, or original_videos/<Category>/<resolution>P/<vid>.mkv",
    paper="https://arxiv.org/abs/1904.06457",
    read="excerpt",
    checked="the table's 1380 rows with widths and rates, and an excerpt of the spreadsheet saved as CSV",
    note="More than 200 of the videos are no longer to be had, so what is missing is left out; others have about 1145.",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=[
                "MOS_for_YouTube_UGC_dataset.xlsx",
                "original_videos_MOS_for_YouTube_UGC_dataset.xlsx",
                "mos.csv",
                "original_videos_MOS.csv",
                "YOUTUBE_UGC_metadata.csv",
            ],
            columns={
                "name": "vid",
                "category": "category",
                "resolution": "resolution",
                "overall": "MOS full",
                "chunk00": "MOS chunk00",
                "chunk05": "MOS chunk05",
                "chunk10": "MOS chunk10",
            },
        )
    ],
    paths=[
        "original_videos_h264/{name}_crf_10_ss_00_t_20.0.mp4",
        "original_videos/{category}/{resolution}P/{name}.mkv",
        "{name}_crf_10_ss_00_t_20.0.mp4",
        "{name}.mp4",
        "{name}.mkv",
    ],
    video_id="{name}",
    missing="leave_out",
)
