"""Measure resto beside its rivals. Times drift on a shared machine; the ratios within one work hold."""

import argparse
import datetime
import json
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.results import Row
from benchmarks.site import configure
from benchmarks.sizes import QUICK, Sizes


# What is measured, and the sizes that matter to it.
PARTS = {
    "saves": ["saves"],
    "single": ["saves"],
    "threads": ["saves"],
    "reads": ["saves", "rounds"],
    "outage": ["saves", "rounds", "timeout"],
    "large": ["megabytes", "rounds"],
    "network": ["distant", "pause", "copied", "rounds"],
    "sync": ["files", "rounds"],
    "scale": ["compared", "rounds"],
    "restore": ["restored", "rounds"],
    "record": ["saves", "files", "rounds"],
    "backlog": ["saves", "rounds", "pending"],
    "lists": ["rounds", "pending"],
    "drains": ["rounds", "handed"],
    "queues": ["saves", "queued", "rounds"],
}


def main() -> None:
    """Run the benchmarks, print their tables, and keep the results if asked to."""
    try:
        _measure()
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}. `make bench` installs all that the benchmarks need.") from error


def _measure() -> None:
    arguments = _parse()
    configure()
    from benchmarks.goals import GOALS
    from benchmarks.machine import describe
    from benchmarks.tables import goals_table, work_tables

    sizes = _sizes(arguments)
    machine = describe()
    parts = _kept(arguments.output, machine)
    for name in arguments.only:
        rows = import_module(f"benchmarks.{name}").measure(sizes)
        print(f"\n{work_tables(rows)}", flush=True)
        parts[name] = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "sizes": {field: getattr(sizes, field) for field in PARTS[name]},
            "rows": [asdict(row) for row in rows],
        }
        if arguments.output:  # at once: a later part may fail
            _write(arguments.output, machine, parts)
    if any(goal.part in parts for goal in GOALS):
        print(f"\n{goals_table(_rows(parts), parts)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="see that everything runs; the figures mean nothing")
    parser.add_argument("--output", type=Path, help="a file of JSON; parts of the same machine that it has are kept")
    for field in fields(Sizes):
        parser.add_argument(f"--{field.name}", type=field.type, help=f"default: {field.default}")
    return parser.parse_args()


def _sizes(arguments: argparse.Namespace) -> Sizes:
    given = {field.name: getattr(arguments, field.name) for field in fields(Sizes)}
    return replace(QUICK if arguments.quick else Sizes(), **{k: v for k, v in given.items() if v is not None})


def _kept(path: Path | None, machine: dict[str, str]) -> dict[str, Any]:
    if path is None or not path.exists():
        return {}
    results = json.loads(path.read_text())
    return results["parts"] if results["machine"] == machine else {}


def _write(path: Path, machine: dict[str, str], parts: dict[str, Any]) -> None:
    from benchmarks.goals import judge

    in_order = {name: parts[name] for name in PARTS if name in parts}
    results = {"machine": machine, "goals": judge(_rows(parts)), "parts": in_order}
    path.write_text(json.dumps(results, indent=1) + "\n")


def _rows(parts: dict[str, Any]) -> list[Row]:
    return [Row.from_json(row) for part in parts.values() for row in part["rows"]]


if __name__ == "__main__":
    main()
