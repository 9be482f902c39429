"""What baselines share: least squares and ridge regression."""
