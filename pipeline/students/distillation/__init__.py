"""The stage ``distill``: a student trained from the cache."""
