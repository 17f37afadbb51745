"""How long a full comparison takes beside rclone, rsync and cp: with everything missing, and with nothing to do."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.copying import (
    RCLONE,
    WHOLE,
    Call,
    Folders,
    create_files,
    into_empty,
    one_after_another,
    rclone_copy,
    resto_sync,
    rows_of,
)
from benchmarks.programs import find_program
from benchmarks.results import Row
from benchmarks.sizes import Sizes
from kit.servers import MediaServer


__all__ = ["measure"]

SERVERS = {"nginx": ["nginx-dav"], "Apache": ["apache"], "3 nginx": ["nginx-dav"] * 3}


def measure(sizes: Sizes) -> list[Row]:
    """Compare and copy many small files: whole programs, in turn."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory:
        master = Path(directory) / "master"
        create_files(master, sizes.files)
        for label, kinds in SERVERS.items():
            with ExitStack() as stack:
                folders = [stack.enter_context(MediaServer(kind)).new_folder() for kind in kinds]
                local = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resto-bench-"))) for _ in kinds]
                # One after another: in the end, everybody finds everything.
                rows += rows_of(f"copy to {label}", _copies(master, folders, local), sizes.rounds)
                if len(kinds) == 1:
                    rows += rows_of(f"compare with {label}", _comparisons(master, folders, local), sizes.rounds)
    return rows


def _copies(master: Path, folders: Folders, local: Sequence[Path]) -> dict[str, Call]:
    roots = [path for _, path in folders]
    return {
        WHOLE: into_empty(master, roots, resto_sync(master, folders)),
        RCLONE: into_empty(master, roots, rclone_copy(master, folders)),
        "rsync -r, local": into_empty(master, local, _rsync("-r", master, local)),
        "cp -r, local": into_empty(
            master, local, one_after_another([["cp", "-r", f"{master}/.", str(path)] for path in local])
        ),
    }


def _comparisons(master: Path, folders: Folders, local: Sequence[Path]) -> dict[str, Call]:
    return {
        WHOLE: resto_sync(master, folders),
        "resto_sync --checksum, which reads everything": resto_sync(master, folders, "--checksum"),
        RCLONE: rclone_copy(master, folders),
        "rsync -rn, local": _rsync("-rn", master, local),
    }


def _rsync(options: str, master: Path, local: Sequence[Path]) -> Call:
    command = [find_program("rsync"), options, "--size-only", f"{master}/"]
    return one_after_another([[*command, str(path)] for path in local])
