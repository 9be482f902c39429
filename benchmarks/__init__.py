"""Long-running programs and comparisons beside the default pipeline."""
