"""How long the steps of a training waited for data and computed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass
class StepTimes:
    """Seconds that each step waited for data and computed."""

    data_wait: list[float] = field(default_factory=list)
    compute: list[float] = field(default_factory=list)

    def add(self, data_wait: float, compute: float) -> None:
        """Records one step."""
        self.data_wait.append(data_wait)
        self.compute.append(compute)

    def rows(self) -> list[dict[str, Any]]:
        """One row per part: milliseconds per step (mean, median, 95th percentile) and its share of the time."""
        parts = {"data wait": np.array(self.data_wait), "compute": np.array(self.compute)}
        total = sum(float(values.sum()) for values in parts.values()) or 1.0
        return [
            {
                "part": name,
                "mean_ms": round(1e3 * float(values.mean()), 3) if len(values) else 0.0,
                "median_ms": round(1e3 * float(np.median(values)), 3) if len(values) else 0.0,
                "p95_ms": round(1e3 * float(np.percentile(values, 95)), 3) if len(values) else 0.0,
                "share": round(float(values.sum()) / total, 4),
            }
            for name, values in parts.items()
        ]

    def show(self) -> None:
        """Prints the table on standard error."""
        table = Table(title=f"step time over {len(self.compute)} steps")
        rows = self.rows()
        for name in rows[0]:
            table.add_column(name, justify="left" if name == "part" else "right")
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console(stderr=True).print(table)
