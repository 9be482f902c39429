"""TID2013: 25 still images by 24 distortions by 5 levels, as videos of one frame.

Names in the table and on the disk differ in capitals. The codec column holds the distortion's number.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="TID2013",
    videos=3000,
    kind="images",
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=9.0)},
    contents="25 references by 24 distortions by 5 levels; the reference is the content",
    home="www.ponomarenko.info/tid2013.htm",
    request="no",
    tree="mos_with_names.txt\ndistorted_images/i01_01_1.bmp …",
    paper="https://doi.org/10.1016/j.image.2014.10.009",
    read="no",
    checked="scores and direction compared with a second source, the table from a description",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[Labels(files=["mos_with_names.txt"], columns={"overall": "mos", "name": "name"}, header=["mos", "name"])],
    pattern=r"^[iI](?P<reference>\d+)_(?P<kind>\d+)_(?P<level>\d+)",
    derive=lambda fields, _: {"content": f"i{fields['reference']}", "codec": f"distortion {fields['kind']}"},
    paths=["distorted_images/{name}"],
    video_id="i{reference}_{kind}_{level}",
)
