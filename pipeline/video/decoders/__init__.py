"""Decoders, one file each: ``decoders/<name>.py`` is what ``render.decoder: <name>`` selects.

A decoder file has ``available() -> bool``, ``version() -> str`` and ``open(path, *, options) -> OpenVideo``. Every one
passes the same conformance tests. What decoders share is in ``shared/``.
"""
