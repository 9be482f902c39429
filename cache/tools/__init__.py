"""The commands of ``teachonce cache``: info, verify, diff, gc, export and import."""
