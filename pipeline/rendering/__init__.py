"""The stage ``render``: views of videos, stored as clips."""
