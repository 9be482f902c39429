"""``teachonce cache``: the store's own verbs, and ``recheck``, which needs the teacher."""

from cache.cli import app

__all__ = ["app"]
