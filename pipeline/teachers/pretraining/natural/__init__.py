"""Natural material for the pre-training: photographs in motion and clips as pristine sources, held-back ladders."""
