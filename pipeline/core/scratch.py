"""Where a run stores what is nobody's output: the folder ``.teachonce`` of the project."""

import os
from pathlib import Path


def kept_folder(start: Path) -> Path:
    """``.teachonce`` under ``$DVC_ROOT``, else under the nearest folder from ``start`` upwards that has ``.dvc``."""
    if os.environ.get("DVC_ROOT"):
        return Path(os.environ["DVC_ROOT"]) / ".teachonce"
    here = start.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here) / ".teachonce"
