"""Panels, one file each: the sections of the report. What panels share is in ``shared/``."""
