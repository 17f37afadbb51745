"""Tables of Markdown, whose columns are also straight on a terminal."""

from collections.abc import Container, Iterable, Sequence

from benchmarks.goals import GOALS, Goal
from benchmarks.network import LINES, away
from benchmarks.results import WALL, Row, Spread, by_work
from benchmarks.rivals import DJANGO_RESTO, FLOOR, HYBRID


__all__ = ["cost_table", "goals_table", "in_digits", "table", "work_tables"]


def cost_table(rows: Iterable[Row]) -> str:
    """Return what a small save takes, by the length of the line."""
    taken = {(row.work, row.rival): row.figures[WALL].median for row in rows if WALL in row.figures}
    head = ["a save of 1 KB to hosts that are", "3 hosts", "12 hosts", "3 hosts, django-resto 1.3", "3 hosts, at least"]
    lines = []
    for where, suffix in [("on this machine", ""), *((away(line), f", {away(line)}") for line in LINES)]:
        cells = [
            taken.get((f"1 KB save, {number} hosts{suffix}", rival))
            for number, rival in ((3, HYBRID), (12, HYBRID), (3, DJANGO_RESTO), (3, FLOOR))
        ]
        lines.append([where, *("-" if cell is None else f"{in_digits(cell)} ms" for cell in cells)])
    return table(head, lines)


def goals_table(rows: Sequence[Row], parts: Container[str]) -> str:
    """Return the goals of the parts that were measured."""
    head = ["work", "whose", "figure", "goal", "against", "measured", "holds"]
    return table(head, [_goal_cells(goal, goal.measured(rows)) for goal in GOALS if goal.part in parts])


def _goal_cells(goal: Goal, measured: float | None) -> list[str]:
    verdict = ["-", "-"] if measured is None else [f"{measured:.2f}", "yes" if goal.holds(measured) else "**no**"]
    return [goal.work, goal.ours, goal.figure, goal.wish, goal.rival or "-", *verdict]


def work_tables(rows: Iterable[Row]) -> str:
    """Return a table for each work: medians with their quartiles, and the ratio of the first figure to that of the first row."""
    return "\n\n".join(_work_table(work, some) for work, some in by_work(rows).items())


def _work_table(work: str, rows: Sequence[Row]) -> str:
    figures = list(dict.fromkeys(figure for row in rows for figure in row.figures))
    first = rows[0].figures[figures[0]].median
    return table(
        [work, *figures, "ratio"],
        [
            [
                row.rival,
                *(_spread(row.figures.get(figure)) for figure in figures),
                f"{row.figures[figures[0]].median / first:.2f} x",
            ]
            for row in rows
        ],
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    text = in_digits(spread.median)
    return text if spread.samples == 1 else f"{text} ({in_digits(spread.low)} - {in_digits(spread.high)})"


def in_digits(value: float) -> str:
    """Return a number as people write it, such as 1,600 or 0.63."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, *rows]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(head))]
    texts = [" | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in lines]
    texts.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {text} |" for text in texts)
