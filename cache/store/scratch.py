"""Where a project stores what is nobody's output, outside DVC and git: its folder ``.teachonce``."""

import os
from pathlib import Path


def dvc_project(start: str | os.PathLike[str] = ".") -> Path | None:
    """Find the nearest folder, from ``start`` upwards, that has ``.dvc``."""
    here = Path(start).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)


def scratch_folder(start: str | os.PathLike[str] = ".") -> Path:
    """Find ``.teachonce``: the pool of finished rows, states of unfinished training, the index of checked files.

    Args:
        start: a folder of the project.

    Returns:
        Its absolute path; it may not exist. It lies in ``$DVC_ROOT``, which DVC sets to the main checkout even while an
        experiment runs in a temporary folder; without it in the `dvc_project` of ``start``, else in ``start``.
    """
    root = os.environ.get("DVC_ROOT")
    return Path(root or dvc_project(start) or start).resolve() / ".teachonce"
