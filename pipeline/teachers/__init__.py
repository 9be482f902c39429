"""Teachers: one file each, found by its name (``adapt.teacher``)."""
