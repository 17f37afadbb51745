"""How a comparison with a host that lacks nothing grows with the number of files, beside rclone."""

import os
import tempfile
from pathlib import Path

from benchmarks.copying import FANOUT, IN_PROCESS, RCLONE, SIZE, WHOLE, rclone_copy, resto_sync
from benchmarks.results import CPU_SECONDS, MEMORY, MICROSECONDS, SECONDS, Row
from benchmarks.sizes import Sizes
from benchmarks.timing import interleave
from kit.servers import MediaServer


__all__ = ["ALL", "FEW", "PER_FILE", "SHARES", "measure"]

FEW, ALL = "a thirtieth of the files", "all files"
SHARES = {FEW: 30, "a third of the files": 3, ALL: 1}
PER_FILE = "compare, for each file"


def measure(sizes: Sizes) -> list[Row]:
    """Compare ever more files."""
    rows, per_file = [], []
    for share, part in SHARES.items():
        files = max(sizes.compared // part, 1)
        figures = _compare(files, sizes.rounds)
        rows += [Row.of(f"compare {share}", rival, taken) for rival, taken in figures.items()]
        ours = figures[IN_PROCESS]
        times = [seconds * 1_000_000 / files for seconds in ours[SECONDS]]
        per_file.append(Row.of(PER_FILE, share, {MICROSECONDS: times, MEMORY: ours[MEMORY]}))
    return rows + per_file


def _compare(files: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return who took how long, how much of the processor, and, of resto, how much more memory."""
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory, MediaServer("nginx-dav") as server:
        url, root = server.new_folder()
        master = Path(directory) / "master"
        _link_files([master, root], files)
        folders = [(url, root)]
        calls = {WHOLE: resto_sync(master, folders), RCLONE: rclone_copy(master, folders)}
        samples = interleave(calls, rounds)
    ours = [[float(word) for word in done.output.split()] for done in samples[WHOLE]]
    return {
        IN_PROCESS: dict(zip([SECONDS, CPU_SECONDS, MEMORY], map(list, zip(*ours, strict=True)), strict=True)),
        RCLONE: {
            SECONDS: [done.wall for done in samples[RCLONE]],
            CPU_SECONDS: [done.cpu for done in samples[RCLONE]],
        },
    }


def _link_files(roots: list[Path], files: int) -> None:
    """Make files of which only the names take memory."""
    for root in roots:
        root.mkdir(exist_ok=True)
        content = root / "content.jpg"
        content.write_bytes(bytes(SIZE))
        for start in range(0, files, FANOUT):
            directory = root / f"{start // FANOUT:05}"
            directory.mkdir()
            directory.chmod(0o777)  # the server may be another user
            for number in range(start, min(start + FANOUT, files)):
                os.link(content, directory / f"{number:06}.jpg")
