"""What docs/reference.md says between its marks is generated from the code, and written by the tests themselves:

RESTO_WRITE_REFERENCE=1 python -m pytest tests/docs/test_reference.py tests/docs/test_capabilities.py
"""

import os
import re
from pathlib import Path


PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"

# Whether the tests write what they have found, instead of comparing it.
WRITES = os.environ.get("RESTO_WRITE_REFERENCE") == "1"


def read_part(name):
    """Return a generated part of the page."""
    return _part(name).search(PAGE.read_text())[2].strip()


def require_part(name, text):
    """Insist that a part of the page is as the code has it, or write it."""
    if WRITES:
        PAGE.write_text(_part(name).sub(lambda match: f"{match[1]}{text.strip()}\n\n{match[3]}", PAGE.read_text()))
    assert read_part(name) == text.strip(), "RESTO_WRITE_REFERENCE=1 writes docs/reference.md anew; see CONTRIBUTING.md"


def _part(name):
    return re.compile(f"(<!-- {name}: generated -->\n\n)(.*?)(<!-- end -->\n)", re.DOTALL)


def write_table(head, rows):
    """Return a table of Markdown."""
    lines = [_line(cells) for cells in (head, *rows)]
    return "\n".join([lines[0], "|".join(["", *(["---"] * len(head)), ""]), *lines[1:], ""])


def _line(cells):
    return "|".join(["", *(f" {cell} " if cell else " " for cell in cells), ""])


def read_table(text):
    """Return the cells of a table of Markdown, row by row, without its head."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
