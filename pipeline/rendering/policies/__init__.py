"""View policies, one file each: ``policies/<name>.py`` is what ``policy: <name>`` of a view set selects.

A policy file has ``place(policy, height, width, draws) -> Place``: the size of the plane that a frame is resized to,
and the top and left of each patch that is cut out of it. Without draws (view 0) it is the centred view. What policies
share is in ``shared/``.
"""
