"""Clips, targets and labels, row by row."""
