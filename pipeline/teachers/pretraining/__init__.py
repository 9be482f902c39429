"""Pre-training of the embedded teacher on unlimited generated video: examples, replay pool, objectives, training."""
