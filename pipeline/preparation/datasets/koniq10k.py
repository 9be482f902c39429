"""KonIQ-10k: 10,073 still images from the wild, as videos of one frame; every image is its own content.

The score from 1 to 5 trains by default; that of z-scores, from 1 to 100, is carried beside it. Where the file of sets
is there, its split is used.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="KonIQ-10k",
    videos=10073,
    kind="images",
    scores={
        "overall": ScoreScale(score_name="MOS", low=1.0, high=5.0),
        "zscore": ScoreScale(score_name="MOS of z-scores", low=0.0, high=100.0),
    },
    contents="photographs of YFCC100M; each its own",
    home="database.mmsp-kn.de/koniq-10k-database.html",
    licence="unknown",
    request="no",
    tree="koniq10k_scores_and_distributions.csv\nkoniq10k_distributions_sets.csv (the official split; may be missing)\n"
    "1024x768/<image_name> (or 512x384/)",
    split="7058 train, 1000 validation, 2015 test, in koniq10k_distributions_sets.csv; used",
    paper="https://arxiv.org/abs/1910.06180",
    read="excerpt",
    checked="koniq10k_distributions_sets.csv, 10,073 rows; the table of scores from a description",
)
_SETS, _IMAGE = ["koniq10k_distributions_sets.csv"], "image_name"

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        (
            Labels(
                files=["koniq10k_scores_and_distributions.csv"],
                columns={"name": _IMAGE, "overall": "MOS", "zscore": "MOS_zscore"},
            ),
            Labels(files=_SETS, columns={"name": _IMAGE, "zscore": "MOS"}),
        )
    ],
    joined=[Labels(files=_SETS, columns={"name": _IMAGE, "split": "set"}, may_lack=True)],
    splits={"training": "train", "validation": "val", "test": "test"},
    paths=["1024x768/{name}", "512x384/{name}", "{name}"],
)
