"""The row store: the teacher's inputs and outputs, stored so that no row can be lost or mixed with another.

``cache.store`` reads, ``cache.build`` writes, ``cache.tools`` has the commands. None of them knows torch, a model or a
video. ``README.md`` here specifies the format on disk.
"""

from cache.store import Store, open_store

__all__ = ["Store", "open_store"]
