"""Draws what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.results import RATES, Row, by_work


__all__ = ["draw"]

WORKS = [
    "1 KB save, 3 hosts",
    "1 KB save, 12 hosts",
    "1 KB save over HTTPS, 3 hosts",
    "100 KB save, 3 hosts",
    "1 KB saves, 3 hosts, 8 threads",
    "1 KB save, 1 host",
    "large save, 3 hosts",
    "copy to nginx",
    "compare with nginx",
]
COLUMNS = 3
OURS, OTHERS = "#1b7837", "#9970ab"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw bars of the medians, with lines from quartile to quartile; the same figures make the same file."""
    works = by_work(rows)
    lines = -(-len(WORKS) // COLUMNS)
    with mpl.rc_context({"svg.hashsalt": "resto", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(5 * COLUMNS, 2.6 * lines), layout="constrained")
        for axes, work in zip(figure.subplots(lines, COLUMNS).flat, WORKS, strict=True):
            _draw_work(axes, work, works.get(work, []))
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_work(axes: Any, work: str, rows: Sequence[Row]) -> None:
    axes.set_title(work, loc="left", weight="bold")
    if not rows:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        return
    name = next(iter(rows[0].figures))
    spreads = [row.figures[name] for row in rows]
    axes.barh(
        [row.rival for row in rows],
        [spread.median for spread in spreads],
        xerr=[
            [spread.median - spread.low for spread in spreads],
            [spread.high - spread.median for spread in spreads],
        ],
        color=[OURS if row.rival.startswith("resto") else OTHERS for row in rows],
    )
    axes.bar_label(axes.containers[-1], [f" {spread.median:.3g}" for spread in spreads])
    axes.set_xlabel(f"{name}{', more is better' if name in RATES else ''}")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
