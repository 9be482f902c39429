"""MaxWell, with DIVIDE-3k inside it: 4543 videos from the wild, with an overall score and fifteen others.

Technical and aesthetic scores, and thirteen on one matter each, are carried beside the overall one. Every video is its
own content.
"""

from pipeline.core.manifest import ScoreScale, Split
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

_OPINION = ScoreScale(score_name="MOS", low=1.0, high=5.0)
_AXIS = ScoreScale(score_name="mean of -1, 0 and 1", low=-1.0, high=1.0)
AXES = {
    "content": "A-1",
    "composition": "A-2",
    "colour": "A-3",
    "lighting": "A-4",
    "trajectory": "A-5",
    "sharpness": "T-1",
    "focus": "T-2",
    "noise": "T-3",
    "motion": "T-4",
    "stability": "T-5",
    "exposure": "T-6",
    "compression": "T-7",
    "fluency": "T-8",
}
"""Score → the publisher's column."""
_NAMED = {f"{axis}_axis": column for axis, column in AXES.items()}

FACTS = Facts(
    title="DIVIDE-MaxWell",
    videos=4543,
    scores={"overall": _OPINION, "technical": _OPINION, "aesthetic": _OPINION, **dict.fromkeys(_NAMED, _AXIS)},
    contents="videos from the wild; each its own",
    home="huggingface.co/datasets/teowu/DIVIDE-MaxWell; labels: github.com/VQAssessment/DOVER and ExplainableVQA",
    licence="sources disagree",
    request="no",
    tree="train_labels.txt, val_labels.txt (DOVER's examplar_data_labels/DIVIDE_MaxWell)\n"
    "MaxWell_train.csv, MaxWell_val.csv (ExplainableVQA's; may be missing)\nvideos/0000.mp4 …",
    split="3634 train, 909 validation; the latter is tested, as others do",
    paper="https://arxiv.org/abs/2305.12726",
    note="Licence: Apache 2.0 on Hugging Face; S-Lab 1.0, non-commercial, in ExplainableVQA.",
    read="yes",
    checked="both lists and both tables, 4543 rows, which agree line by line",
)


def _labels(publisher: str, split: Split | None) -> Labels:
    return Labels(
        files=[f"{publisher}_labels.txt"],
        columns={"name": "name", "technical": "technical", "aesthetic": "aesthetic", "overall": "overall"},
        header=["name", "technical", "aesthetic", "overall"],
        split=split,
        beside=Labels(files=[f"MaxWell_{publisher}.csv"], columns=_NAMED, may_lack=True),
    )


Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[_labels("train", None), _labels("val", "test")],
    paths=["videos/{name}", "{name}"],
)
