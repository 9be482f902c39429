"""A video file in, pictures out."""
