"""CSIQ: 30 still images by 6 distortions by 4 or 5 levels, as videos of one frame.

The spreadsheet calls the distortions otherwise than the files do. The codec column holds the distortion.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="CSIQ",
    videos=866,
    kind="images",
    scores={"overall": ScoreScale(score_name="DMOS", low=0.0, high=1.0, published_direction="lower_is_better")},
    contents="30 references by 6 distortions; the reference is the content",
    home="s2.smu.edu/~eclarson/csiq",
    request="no",
    tree="csiq.DMOS.xlsx\ndst_imgs/awgn/1600.AWGN.1.png … (or all in dst_imgs_all/)",
    paper="https://doi.org/10.1117/1.3267105",
    read="no",
    checked="sheet, columns, header row and names from public loaders",
)
FILES = {"noise": "AWGN", "blur": "BLUR", "jpeg": "JPEG", "jpeg 2000": "jpeg2000"}
"""The spreadsheet's name of a distortion → the files', where they differ; fnoise and contrast do not."""


def _derive(fields: dict[str, str], _: object) -> dict[str, str]:
    kind = FILES.get(fields["codec"].lower(), fields["codec"])
    return {"kind": kind, "folder": kind.lower(), "content": fields["name"]}


Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["csiq.DMOS.xlsx"],
            sheet="all_by_image",
            columns={"name": "image", "codec": "dst_type", "level": "dst_lev", "overall": "dmos"},
        )
    ],
    derive=_derive,
    paths=["dst_imgs/{folder}/{name}.{kind}.{level}.png", "dst_imgs_all/{name}.{kind}.{level}.png"],
    video_id="{name}.{kind}.{level}",
)
