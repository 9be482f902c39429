"""Baselines, one file each: ``baselines/<name>.py`` is the predictor ``<name>`` of ``results/evaluate/metrics.json``.

A baseline is what can be had without a student. Its file has ``predict(train, test, data, data_root)``: fitted on the
labelled training videos (at least two), it returns the scores of the test videos on the unit scale, where 0 and 1 are
the ends of a data set's scale: float64, shape ``(n,)``, or None where the data do not have what it predicts from. It
reads no score of a test video. ``data_root`` is what the paths in ``videos.csv`` are relative to. What baselines share
is in ``shared/``.
"""
