"""KoNViD-1k: 1200 videos from the wild, 960x540, 8 s; every video is its own content.

Today's download is ``<id>.mp4``; older copies, and the label files, have ``_original_`` or ``_cut_centercrop_…``.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

FACTS = Facts(
    title="KoNViD-1k",
    videos=1200,
    scores={"overall": ScoreScale(score_name="MOS", low=1.0, high=5.0)},
    contents="Creative Commons videos of YFCC100M; each its own",
    home="database.mmsp-kn.de/konvid-1k-database.html",
    licence="free for research; videos Creative Commons",
    request="no",
    tree="KoNViD_1k_mos.csv (or KoNViD_1k_attributes.csv, or VSFA's KoNViD-1kinfo.mat)\nKoNViD_1k_videos/<id>.mp4",
    paper="https://datasets.vqa.mmsp-kn.de/archives/papers/Hosu-Konvid-1k.pdf",
    read="excerpt",
    checked="KoNViD-1kinfo.mat, 1200 entries; excerpts of both CSV files",
)
_NAMES = ("{id}.mp4", "{id}_original_centercrop_960x540_8s.mp4", "{id}_cut_centercrop_960x540_8s.mp4")

Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        (
            Labels(files=["KoNViD_1k_mos.csv"], columns={"name": "flickr_id", "overall": "mos"}),
            Labels(files=["KoNViD_1k_attributes.csv"], columns={"name": "file_name", "overall": "MOS"}),
            Labels(files=["KoNViD-1kinfo.mat"], columns={"name": "video_names", "overall": "scores"}),
        )
    ],
    pattern=r"(?P<id>\d+)",
    paths=[f"{folder}{name}" for folder in ("KoNViD_1k_videos/", "") for name in _NAMES],
    video_id="{id}",
)
