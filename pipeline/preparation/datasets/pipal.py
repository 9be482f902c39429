"""PIPAL: 200 still images by 116 distorted or restored versions, as videos of one frame, with Elo scores.

Those of the challenge's validation and test images were never published, and are not read. The codec column holds the
kind of distortion.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="PIPAL",
    videos=23200,
    kind="images",
    scores={"overall": ScoreScale(score_name="Elo score", low=900.0, high=1850.0)},
    contents="200 references by 116 versions; the reference is the content",
    home="www.jasongt.com/projectpages/pipal.html",
    tree="Train_Label/A0000.txt … (200 lists)\n"
    "Train_Dist/A0000_00_00.bmp … (or Dist_Imgs/, or Distortion_1/ to Distortion_4/)",
    paper="https://arxiv.org/abs/2007.12142",
    read="no",
    checked="all 23,200 names and scores (916.7 to 1836.0) in a list of others; the 200 lists from public loaders",
)
_FOLDERS = ("Train_Dist", "Dist_Imgs", "Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4")

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["Train_Label/*.txt"],
            columns={"name": "name", "overall": "score"},
            header=["name", "score"],
            unknown=["-1"],
        )
    ],
    pattern=r"^(?P<content>A\d+)_(?P<kind>\d+)_(?P<level>\d+)",
    derive=lambda fields, _: {"codec": f"distortion {fields['kind']}"},
    paths=[f"{folder}/{{name}}" for folder in _FOLDERS],
)
