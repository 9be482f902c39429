"""Panels: the sections of the page, one file each. Adding one touches no other file.

A panel is a module of this folder with

- ``TITLE``: its heading, also in the page's contents;
- ``ORDER``: its place on the page, a number; panels of one number stand by name;
- ``section(run: Run, settings: ReportSettings) -> Section | None``: what to show of a run, or None where the panel does
  not apply to it.

A `shared.section.Section` has one sentence that says what to conclude, computed from the run's numbers, and the markup
below it, made with `shared.markup` (which escapes) and `shared.svg` (whose figures need names that are unique on the
page: begin them with the panel's). The same run must give the same bytes; nothing may be wider than a phone, so a table
has five columns at most that are not marked as wide. A panel imports no other panel: what they share is in ``shared/``.
"""
