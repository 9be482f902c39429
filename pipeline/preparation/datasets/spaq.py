"""SPAQ: 11,125 photographs from 66 smartphones, as videos of one frame; every image is its own content.

The scores of five attributes are carried beside the overall one.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

ATTRIBUTES = ("brightness", "colorfulness", "contrast", "noisiness", "sharpness")
FACTS = Facts(
    title="SPAQ",
    videos=11125,
    kind="images",
    scores={name: ScoreScale(score_name="MOS", low=0.0, high=100.0) for name in ("overall", *ATTRIBUTES)},
    contents="photographs from 66 smartphones; each its own",
    home="github.com/h4nwei/SPAQ",
    request="no",
    tree="Annotations/MOS and Image attribute scores.xlsx\nTestImage/00001.jpg …",
    paper="https://doi.org/10.1109/CVPR42600.2020.00373",
    read="no",
    checked="file, sheet and columns from public loaders",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=[
                "Annotations/MOS and Image attribute scores.xlsx",
                "MOS and Image attribute scores.xlsx",
                "Annotations/MOS and Image attribute scores.csv",
            ],
            columns={"name": "Image name", "overall": "MOS", **{name: name for name in ATTRIBUTES}},
        )
    ],
    paths=["TestImage/{name}", "{name}"],
)
