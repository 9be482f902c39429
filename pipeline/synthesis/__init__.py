"""Generated videos: procedural sources, real codecs, and the full-reference measures that score the result."""
