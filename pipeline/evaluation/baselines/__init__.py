"""Baselines, one file each: what can be had without a student, fitted on the labelled training videos.

What baselines share is in ``shared/``.
"""
