"""The report: one self-contained HTML page about a run, made to be sent to a colleague.

`run` reads what the stages left, `breakdown` computes what the page says, `figures` and `curves` draw, `frames` and
`originals` fetch pixels, `identity` says what the run was, `page` puts it together. The page needs no network and no
script, and the same run gives the same bytes: it holds no date.
"""

from pipeline.reporting.files import ReportError
from pipeline.reporting.page import write_report
from pipeline.reporting.run import Run, load_run

__all__ = ["ReportError", "Run", "load_run", "write_report"]
