"""CVD2014: 234 videos of 5 scenes, shot by 78 cameras. The scene is the content.

The realigned scores, comparable between its six tests, train by default.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

_SCALE = ScoreScale(score_name="realigned MOS", low=-10.0, high=100.0)
FACTS = Facts(
    title="CVD2014",
    videos=234,
    scores={"overall": _SCALE, "original": ScoreScale(score_name="MOS of its own test", low=-10.0, high=100.0)},
    contents="City, Newspaper, Talking head, Television, Traffic; the scene is the content",
    home="zenodo.org/records/2646315",
    licence="CC BY 4.0; single videos may have limits",
    request="no",
    tree="CVD2014_ratings/Realignment_MOS.csv\nTest1/City/Test01_City_D01.avi …\n"
    "Test3/Talking_head/Test03_Talking_Head_D12.avi …",
    paper="https://doi.org/10.1109/TIP.2016.2562513",
    read="yes",
    checked="Realignment_MOS.csv, 234 rows; the publisher's 234 paths",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["CVD2014_ratings/Realignment_MOS.csv", "Realignment_MOS.csv"],
            columns={
                "name": "File_name",
                "content": "Content",
                "overall": "Realignment MOS",
                "original": "Original MOS",
            },
        )
    ],
    pattern=r"^Test0?(?P<test>\d+)_",
    derive=lambda fields, _: {"scene": fields["content"].replace(" ", "_")},
    paths=["Test{test}/{scene}/{stem}.avi", "{stem}.avi", "{content}/{stem}.avi"],
)
