"""What baselines share: least squares and probes."""
