"""The report: one self-contained HTML page about a run, made to be sent to a colleague.

`run` reads what the stages left, each file of `panels` makes one section of the page, `page` puts them in order. The
page needs no network and no script, and the same run gives the same bytes: it holds no date.
"""

from pipeline.reporting.files import ReportError
from pipeline.reporting.page import write_report
from pipeline.reporting.run import Run, load_run

__all__ = ["ReportError", "Run", "load_run", "write_report"]
