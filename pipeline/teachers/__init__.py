"""Teachers, one file each: ``teachers/<name>.py`` is what ``adapt.teacher: <name>`` selects.

A teacher file is data: ``PREPROCESSING`` (how its clips are made) and ``ARCHITECTURE`` (keywords of its
configuration), and a docstring with a line ``Weights:`` that says where they are had. What teachers share is in
``shared/``.
"""
