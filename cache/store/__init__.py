"""Reading and checking: the format on disk, its errors, fingerprints and rows."""

from cache.store.errors import (
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
from cache.store.fingerprint import canonical, difference, digest
from cache.store.specs import (
    OK,
    ArraySpec,
    BuildReport,
    Failed,
    Job,
    Rows,
    TooManyFailed,
    TooManyFailedError,
    Unit,
)
from cache.store.store import Store, open_store
from cache.store.verify import Problem

__all__ = [
    "OK",
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
    "canonical",
    "difference",
    "digest",
    "open_store",
]
