"""Losses, one file each: ``losses/<name>.py`` is what the key ``<name>`` of ``distill.losses`` weights.

A loss file has ``NEEDS``, the columns of the batch it reads (names of cached targets, ``mos`` or ``group``), and
``loss(prediction, batch)``, which returns a scalar. Rows without a usable score never enter a term that reads ``mos``.
"""
