"""Draws what was measured: in one column, to be read in a narrow window, and on a light or a dark page."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.results import RATES, Row, by_work
from benchmarks.rivals import FLOOR
from benchmarks.tables import in_digits


__all__ = ["draw"]

WORKS = [
    "1 KB save, 3 hosts",
    "1 KB save, 3 hosts, 5 ms away",
    "1 KB save, 3 hosts, 50 ms away",
    "1 KB save, 12 hosts",
    "large save, 3 hosts",
    "copy to nginx",
    "copy small files, 50 ms away",
    "compare with nginx",
]
OURS, OTHERS, LEAST = "#1f883d", "#9970ab", "#8b949e"
BAR, AROUND = 0.26, 0.95  # inches

# What is written and the lines have the colour of the page's text.
INK = "#123456"
STYLE = """<style>
:root { --ink: #24292f }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3 } }
</style>
"""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw bars of the medians, with lines from quartile to quartile; the same figures make the same file."""
    works = by_work(rows)
    measured = {work: works.get(work, []) for work in WORKS}
    heights = [AROUND + BAR * max(len(some), 1) for some in measured.values()]
    inked = dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK)
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "resto", "svg.fonttype": "none", "font.size": 10, **inked}):
        figure = Figure(figsize=(6.5, sum(heights)), layout="constrained")
        axes = figure.subplots(len(measured), 1, gridspec_kw={"height_ratios": heights})
        for one, (work, some) in zip(axes, measured.items(), strict=True):
            _draw_work(one, work, some)
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Title": "Medians"}, transparent=True)
    head, rest = drawn.getvalue().replace(INK, "var(--ink)").split("<defs>", 1)
    path.write_text(f"{head}{STYLE}<defs>{rest}")


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
        color=[_colour(row.rival) for row in rows],
        ecolor=INK,
    )
    axes.bar_label(axes.containers[-1], [f" {in_digits(spread.median)}" for spread in spreads])
    axes.set_xlabel(f"{name}{', more is better' if name in RATES else ''}")
    axes.xaxis.set_major_formatter(lambda value, _: in_digits(value))
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(rival: str) -> str:
    if rival == FLOOR:
        return LEAST
    return OURS if rival.startswith("resto") else OTHERS
