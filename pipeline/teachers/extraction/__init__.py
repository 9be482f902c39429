"""The stage ``extract``: the teacher's outputs for every clip, stored once."""
