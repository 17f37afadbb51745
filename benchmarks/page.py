"""Puts what was measured into README.md, where marks say what goes where, and draws the plot.

python -m benchmarks.page RESULTS.JSON...

Page and plot are written beside the results.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.plot import draw
from benchmarks.results import Row
from benchmarks.tables import cost_table, goals_table, table, work_tables


TEMPLATE = ROOT / "benchmarks" / "README.md"

# As in docs/reference.md.
PART = re.compile(r"(<!-- (\w+): generated -->\n\n)(.*?)(<!-- end -->\n)", re.DOTALL)


def write(path: Path) -> None:
    """Write the page and the plot of a file of results."""
    results = json.loads(path.read_text())
    rows = _rows(*results["parts"].values())
    (path.parent / "README.md").write_text(_fill_in(TEMPLATE.read_text(), results, rows))
    draw(rows, path.parent / "results.svg")


def _fill_in(page: str, results: Mapping[str, Any], rows: list[Row]) -> str:
    texts = {
        "cost": cost_table(rows),
        "goals": goals_table(rows, results["parts"]),
        "machine": table(["what", "which"], [list(item) for item in results["machine"].items()]),
        **{name: f"{_conditions(part)}\n\n{work_tables(_rows(part))}" for name, part in results["parts"].items()},
    }
    return PART.sub(lambda match: f"{match[1]}{texts.get(match[2], 'Not measured.')}\n\n{match[4]}", page)


def _conditions(part: Mapping[str, Any]) -> str:
    return f"On {part['date']}; {', '.join(f'{name}: {value:,}' for name, value in part['sizes'].items())}."


def _rows(*parts: Mapping[str, Any]) -> list[Row]:
    return [Row.from_json(row) for part in parts for row in part["rows"]]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        write(Path(argument))
