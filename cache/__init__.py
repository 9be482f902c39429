"""The row store: what the teacher saw and said, kept so that it can neither be lost nor mixed up.

It knows arrays, keys and digests; it knows nothing of torch, of models or of video. ``README.md`` here specifies the
format on disk.
"""

from cache.build import build_store
from cache.dvc_source import last_committed
from cache.errors import (
    CacheError,
    DiskError,
    ExchangeError,
    FingerprintMismatchError,
    FormatVersionError,
    LockTimeoutError,
    PoolError,
    RowError,
    SpecError,
    StoreError,
)
from cache.fingerprint import canonical, difference, digest
from cache.pool import Pool
from cache.specs import (
    ArraySpec,
    BuildReport,
    Failed,
    Job,
    Rows,
    TooManyFailed,
    TooManyFailedError,
    Unit,
)
from cache.store import Store, open_store
from cache.verify import Problem

__all__ = [
    "ArraySpec",
    "BuildReport",
    "CacheError",
    "DiskError",
    "ExchangeError",
    "Failed",
    "FingerprintMismatchError",
    "FormatVersionError",
    "Job",
    "LockTimeoutError",
    "Pool",
    "PoolError",
    "Problem",
    "RowError",
    "Rows",
    "SpecError",
    "Store",
    "StoreError",
    "TooManyFailed",
    "TooManyFailedError",
    "Unit",
    "build_store",
    "canonical",
    "difference",
    "digest",
    "last_committed",
    "open_store",
]
