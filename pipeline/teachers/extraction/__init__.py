"""The stage ``extract``: what the teacher says of every clip, stored once."""
