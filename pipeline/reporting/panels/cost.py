"""Panel: what each stage cost."""

from typing import Any

from pipeline.reporting.panels.shared.wording import amount
from pipeline.reporting.run import Run


def _cost_parts(run: Run) -> dict[str, Any]:
    rows = [
        (stage, name.replace("_", " "), amount(value))
        for stage, values in run.stage_metrics.items()
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    longest = max(run.seconds.values(), default=0.0) or 1.0
    times = [(stage, value, round(100.0 * value / longest, 1)) for stage, value in run.seconds.items()]
    return {"stage_numbers": rows, "stage_times": times, "total_seconds": sum(run.seconds.values())}
