"""What view policies share: places in a plane."""
