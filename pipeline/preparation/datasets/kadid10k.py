"""KADID-10k: 81 still images by 25 distortions by 5 levels, as videos of one frame.

Despite its name, ``dmos`` is higher for better images. The codec column holds the distortion's number.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="KADID-10k",
    videos=10125,
    kind="images",
    scores={"overall": ScoreScale(score_name="DMOS (higher is better)", low=1.0, high=5.0)},
    contents="81 references by 25 distortions by 5 levels; the reference is the content",
    home="database.mmsp-kn.de/kadid-10k-database.html",
    request="no",
    tree="dmos.csv\nimages/I01_01_01.png …",
    paper="https://doi.org/10.1109/QoMEX.2019.8743252",
    read="no",
    checked="scores and direction compared with a second source, the table from a description",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[Labels(files=["dmos.csv"], columns={"name": "dist_img", "overall": "dmos"})],
    pattern=r"^(?P<content>I\d+)_(?P<kind>\d+)_(?P<level>\d+)",
    derive=lambda fields, _: {"codec": f"distortion {fields['kind']}"},
    paths=["images/{name}", "{name}"],
)
