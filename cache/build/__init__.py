"""Writing: the pool of finished rows, and the stores that are assembled from it."""

from cache.build.build import build_store
from cache.build.dvc_source import last_committed
from cache.build.pool import Pool

__all__ = ["Pool", "build_store", "last_committed"]
