"""One digest of a store's content, whatever its chunks are: equal content, equal digest."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cache.store.fingerprint import digest
from cache.store.layout import Layout


def content_digest(
    kind: str,
    layout: Layout,
    texts: Mapping[str, Sequence[str]],
    tables: Mapping[str, np.ndarray[Any, Any]],
) -> str:
    """Digest keys, values (through their row digests), failures, columns and fingerprints.

    Args:
        kind: what the rows are.
        layout: the arrays.
        texts: every text table, one entry per row.
        tables: ``view``, ``status`` and each array's ``<name>_sha256``, one row per row.

    Returns:
        64 hex digits.
    """
    return digest(
        {
            "kind": kind,
            "arrays": [spec.identity for spec in layout.specs],
            "num_rows": layout.num_rows,
            "views_per_video": layout.views_per_video,
            "texts": {name: digest(list(values)) for name, values in texts.items()},
            "tables": {
                name: hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
                for name, values in tables.items()
            },
        }
    )
