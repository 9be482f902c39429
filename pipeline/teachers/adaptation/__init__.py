"""The stage ``adapt``: the head and last blocks of a teacher, trained on the labelled videos."""
