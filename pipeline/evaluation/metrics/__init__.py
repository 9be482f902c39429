"""Metrics, one file each: ``metrics/<name>.py`` is the column ``<name>`` of ``results/evaluate/metrics.json``.

A metric file has ``<name>(prediction, mos) -> float``: float arrays of shape ``(n,)`` in, one number out, NaN where it
is not defined. What metrics share is in ``shared/``.
"""
