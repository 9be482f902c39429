"""Processes that may die without harm: on this machine, or the workers of a dask scheduler."""
