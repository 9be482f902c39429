"""T2VQA-DB: 10,000 videos that nine text-to-video models made of 1000 prompts; the prompt is the content."""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="T2VQA-DB",
    videos=10000,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="1000 prompts by 9 models; the prompt is the content",
    home="github.com/QMME/T2VQA (Google Drive)",
    licence="not stated",
    request="no",
    tree="info.txt (name|prompt|score)\nvideos/<name>.mp4 … (or all in one folder)",
    paper="https://arxiv.org/abs/2403.11956",
    read="no",
    checked="the form of info.txt from the publisher's own loader; range and folder of the videos are unknown",
)

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["info.txt"],
            columns={"name": "name", "content": "prompt", "overall": "score"},
            header=["name", "prompt", "score"],
        )
    ],
    paths=["videos/{name}", "{name}", "videos/{name}.mp4", "{name}.mp4"],
)
