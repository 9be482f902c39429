"""What losses share: the weighted sum and its parts."""
