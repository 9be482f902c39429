"""LIVE In the Wild Image Quality Challenge (CLIVE): 1162 photographs from phones, as videos of one frame.

The seven images that viewers were trained with are left out. Every image is its own content.
"""

import re

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts

FACTS = Facts(
    title="LIVE Challenge (CLIVE)",
    videos=1162,
    kind="images",
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="photographs from phones; each its own",
    home="live.ece.utexas.edu/research/ChallengeDB",
    licence=LIVE_NOTICE,
    request="yes",
    tree="Data/AllImages_release.mat\nData/AllMOS_release.mat\nImages/3.bmp …",
    paper="https://arxiv.org/abs/1511.02919",
    read="no",
    checked="variables, lengths and the seven training images from public loaders",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["Data/AllImages_release.mat", "AllImages_release.mat"],
            columns={"name": "AllImages_release"},
            beside=Labels(
                files=["Data/AllMOS_release.mat", "AllMOS_release.mat"], columns={"overall": "AllMOS_release"}
            ),
        )
    ],
    derive=lambda fields, _: None if re.match(r"t\d+\.", fields["name"]) else {},
    paths=["Images/{name}", "{name}"],
)
