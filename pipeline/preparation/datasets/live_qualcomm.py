"""LIVE-Qualcomm: 208 raw videos of 54 scenes from 8 phones, with six kinds of in-capture distortion.

The scene stands at the beginning of the name, in capitals that differ between phones. The codec column holds the kind
of distortion.
"""

import re

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="LIVE-Qualcomm",
    videos=208,
    scores={
        "overall": ScoreScale(score_name="unbiased MOS", low=0.0, high=100.0),
        "biased": ScoreScale(score_name="biased MOS", low=0.0, high=100.0),
    },
    contents="54 scenes by the phones that shot them; the scene is the content",
    home="www.colorado.edu/lab/live (live.ece.utexas.edu/research/incaptureDatabase)",
    licence=LIVE_NOTICE,
    request="yes",
    tree="qualcommSubjectiveData.mat\n"
    "Artifacts/, Color/, Exposure/, Focus/, Sharpness/, Stabilization/ with the .yuv files",
    paper="https://doi.org/10.1109/TCSVT.2017.2707479",
    read="yes",
    checked="qualcommSubjectiveData.mat, 208 entries, 54 scenes",
)
KINDS = ("Artifacts", "Color", "Exposure", "Focus", "Sharpness", "Stabilization")
_SCENE = re.compile(r"\d{4}_?[A-Za-z]+\d?(?=_)")


def _derive(fields: dict[str, str], settings: PublishedSettings) -> dict[str, str]:
    scene, kind = _SCENE.match(fields["name"]), KINDS[int(fields["kind"]) - 1 : int(fields["kind"])]
    return {
        "content": scene[0].lower() if scene else "",
        "codec": kind[0].lower() if kind else "",
        "folder": kind[0] if kind else "",
        "width": str(settings.raw.width or 1920),
        "height": str(settings.raw.height or 1080),
        "fps": str(settings.raw.fps or 30),
    }


Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["qualcommSubjectiveData.mat"],
            columns={
                "name": "qualcommVideoData.vidNames",
                "kind": "qualcommVideoData.distortionType",
                "overall": "qualcommSubjectiveData.unBiasedMOS",
                "biased": "qualcommSubjectiveData.biasedMOS",
            },
        )
    ],
    derive=_derive,
    paths=["{folder}/{name}", "{name}", "{folder}/{stem}.mp4", "{stem}.mp4"],
)
