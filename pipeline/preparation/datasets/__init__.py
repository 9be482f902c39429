"""Data sets, one file each: ``datasets/<name>.py`` is what ``prepare.dataset: <name>`` selects.

A data set file has ``Settings`` (what ``prepare.options.<name>`` may hold), ``scales(settings)`` (data set name →
``ScoreScale``) and ``collect(settings, data_root, workers, progress) -> list[Entry]``, which makes or finds the videos
and says what is known of each. What a user brings lies in ``data/raw/<name>/``, as its publisher lays it out; then
``survey(settings, data_root) -> Survey`` says what of it is there. A published data set states ``FACTS``, and gets the
four from ``shared/described.py``. What data sets share is in ``shared/``.
"""
