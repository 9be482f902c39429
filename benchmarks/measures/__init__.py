"""One measure per file, found by its name: ``figures(setting)`` yields the lines of the table that it is about.

A measure has ``LIMIT``, one line that says what it is held against and why that is the limit.
"""

ORDER = (
    "start_up",
    "reading",
    "verify",
    "distill",
    "in_the_loop",
    "extract",
    "teacher",
    "adapt",
    "render",
    "score",
    "memory",
    "repro",
    "one_more",
)
"""The measures of a plain ``python -m benchmarks``, as they stand in the table."""
ON_REQUEST = ("build", "growth")
"""Those that run only when they are named."""
