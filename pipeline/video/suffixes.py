"""Names by which a folder's files are taken for videos; a file that is named outright is always tried."""

# fmt: off
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mj2", ".avif", ".mkv", ".webm", ".avi", ".divx", ".ts", ".mts",
    ".m2ts", ".m2t", ".mpg", ".mpeg", ".m1v", ".m2v", ".vob", ".mod", ".tod", ".flv", ".f4v", ".ivf", ".obu",
    ".wmv", ".asf", ".mxf", ".ogv", ".ogg", ".ogm", ".gif", ".dv", ".rm", ".rmvb", ".nut", ".wtv", ".mjpeg",
    ".mjpg", ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".h266", ".266", ".vvc", ".y4m", ".yuv",
)
# fmt: on
_NAMED = 10


def is_video(name: str) -> bool:
    """Whether a name is a video's, in whatever case it is written."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def left_out(names: list[str]) -> str:
    """Says which files of a folder are taken for no video: the first few by name, the others by number."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"taken for no video: {', '.join(names[:_NAMED])}{more}"
