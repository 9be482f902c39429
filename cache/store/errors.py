"""The exceptions of the cache: every text is meant for the person who has to act on it."""


class CacheError(Exception):
    """Base of everything the cache raises on purpose."""


class SpecError(CacheError):
    """What the caller asked to be stored is not something a store can hold."""


class StoreError(CacheError):
    """A store is missing, unreadable or damaged."""


class FormatVersionError(StoreError):
    """A store was written in a format version that this code does not read."""


class FingerprintMismatchError(StoreError):
    """A store holds values that were made differently from those asked for."""


class RowError(CacheError):
    """A row was asked for that does not exist, or that failed."""


class PoolError(CacheError):
    """The pool of finished rows cannot be used."""


class DiskError(CacheError):
    """The disk is full, read-only or otherwise refuses to be written."""


class LockTimeoutError(CacheError):
    """Another run held a lock for longer than this one was willing to wait."""


class ExchangeError(CacheError):
    """An HDF5 file cannot be imported."""
