"""What metrics share: the logistic map and the table of all of them."""
