"""The console script ``teachonce``.

Only the verb that is asked for is imported, so that ``teachonce --help`` and ``teachonce cache info`` load neither
torch nor a decoder. Exit status: 0 good, 1 the check failed or the work could not be done, 2 wrong use.
"""

import importlib
import sys

import typer

from pipeline.core.errors import PipelineError, without_traceback

_GROUPS = {
    "cache": "Inspect, verify, compare and convert stores.",
    "data": "List data sets, say what to download, check what is there, and what changed between two versions.",
}
"""Verb with verbs of its own → the line that ``--help`` shows; its module in ``pipeline.commands`` has an ``app``."""
_COMMANDS = {
    "score": "Score videos with a trained student.",
    "compare": "Say which of two videos is better, and how sure that is.",
    "export": "Write a student as an ONNX file.",
    "study": "Tabulate DVC experiments, paired by seed.",
    "card": "Copy a student to a folder to publish, with test figures in its card.",
}
"""Plain verb → its line; its module in ``pipeline.commands`` has a function of that name."""


def main() -> None:
    """Entry of the console script; what a user can mend is printed without a traceback and ends with exit status 1."""
    with without_traceback(_known_errors):
        _application(sys.argv[1:])()


def _application(arguments: list[str]) -> typer.Typer:
    application = typer.Typer(
        name="teachonce",
        help="Run a video-quality teacher once, cache what it computes, train students from the cache.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # drawing help with rich takes as long to import as all the rest
    )
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for verb, line in _GROUPS.items():
        group = importlib.import_module(f"pipeline.commands.{verb}").app if verb == asked else typer.Typer()
        application.add_typer(group, name=verb, help=line)
    for verb, line in _COMMANDS.items():
        command = importlib.import_module(f"pipeline.commands.{verb}") if verb == asked else None
        application.command(verb, help=None if command else line)(getattr(command, verb, _not_asked))
    return application


def _not_asked() -> None:
    """Stands for a verb that only ``--help`` mentions."""


def _known_errors() -> tuple[type[Exception], ...]:
    """The errors written for users; evaluated only when something was raised, since it imports the cache."""
    from cache.store.errors import CacheError

    return (PipelineError, CacheError)
