"""FLIVE (LIVE-FB, PaQ-2-PiQ): 39,810 photographs, as videos of one frame; every image is its own content.

Left out: the scores of patches.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="FLIVE (PaQ-2-PiQ)",
    videos=39810,
    kind="images",
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="photographs of AVA, VOC, EMOTIC and blur sets; each its own",
    home="github.com/niu-haoran/FLIVE_Database; labels: github.com/baidut/PaQ-2-PiQ",
    licence="labels CC BY-NC-SA 4.0; pictures' own",
    request="no",
    tree="labels_image.csv\nlabels=640_padded.csv, labels640.csv (the official split; may be missing)\n"
    "database/voc_emotic_ava/…jpg, database/blur_dataset/…jpg, database/EE371R/…jpg",
    split="is_valid of labels=640_padded.csv validates, the 1827 large images of labels640.csv are tested; used",
    paper="https://arxiv.org/abs/1912.10088",
    read="yes",
    checked="labels_image.csv, 39,810 rows, and labels640.csv, 1827; the third from public loaders",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[Labels(files=["labels_image.csv"], columns={"name": "name", "overall": "mos"})],
    joined=[
        Labels(files=["labels=640_padded.csv"], columns={"name": "name_image", "split": "is_valid"}, may_lack=True),
        Labels(files=["labels640.csv"], columns={"name": "name_image"}, split="test", may_lack=True),
    ],
    splits={"True": "val", "False": "train", "TRUE": "val", "FALSE": "train", "1": "val", "0": "train"},
    paths=["database/{name}", "FLIVE/{stem}.jpg", "{name}"],
)
