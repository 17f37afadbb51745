"""What distance costs: small saves, also after a pause, files of 10 MB and copies, to hosts at the end of lines of some length."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.copying import RCLONE, WHOLE, create_files, curl_copy, into_empty, rclone_copy, resto_sync, rows_of
from benchmarks.hosts import Hosts, serve
from benchmarks.programs import find_program, run, serving
from benchmarks.results import ROUND_TRIPS, SECONDS, WALL, Row
from benchmarks.rivals import DJANGO_RESTO, FLOOR, HYBRID, URLLIB3, opened, resto_hybrid, through
from benchmarks.saves import FOLDER, saving
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn, interleave, timed
from kit.servers import MediaServer


__all__ = ["COPY", "CURL", "LARGE", "LINES", "MULTIPLE", "away", "measure"]

LINES = (0.0005, 0.005, 0.05)  # seconds of a round trip
FARTHEST = LINES[-1]
RIVALS = [HYBRID, DJANGO_RESTO, FLOOR, URLLIB3]

CURL = "curl --parallel"
TOGETHER = 64  # files that rclone and curl have under way
MEGABYTES = 10
MULTIPLE = f"round trips for {TOGETHER} files"


def away(seconds: float) -> str:
    """Return how the length of a line stands in the name of a work."""
    return f"{seconds * 1000:g} ms away"


LARGE = f"{MEGABYTES} MB save, 3 hosts, {away(FARTHEST)}"
COPY = f"copy small files, {away(FARTHEST)}"


def measure(sizes: Sizes) -> list[Row]:
    """Measure what is done over long lines."""
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory, serve(12) as hosts:
        rows = [row for seconds in LINES for row in _saves(seconds, hosts, sizes.distant, directory)]
        rows += _saves_after_a_pause(hosts, sizes, directory)
        rows += _large(hosts, sizes.rounds, directory)
        return rows + _copies(sizes, Path(directory))


# Small saves.


def _saves(seconds: float, hosts: Hosts, rounds: int, directory: str) -> Iterator[Row]:
    for number in (3, 12):
        with (
            _at_the_end(seconds, hosts, number) as distant,
            opened(RIVALS, distant, f"{directory}/{seconds}-{number}") as saves,
        ):
            content = os.urandom(1_000)
            calls = {rival: saving(save, content) for rival, save in saves.items()}
            rows = in_turn(f"1 KB save, {number} hosts, {away(seconds)}", calls, rounds)
        hosts.remove(FOLDER)
        yield from (_with_round_trips(row, seconds) for row in rows)


def _saves_after_a_pause(hosts: Hosts, sizes: Sizes, directory: str) -> list[Row]:
    """All wait in the same pauses."""
    content = os.urandom(1_000)
    with ExitStack() as stack:
        works: dict[tuple[int, float], Mapping[str, Callable[[], object]]] = {}
        for number, seconds in itertools.product((3, 12), LINES[1:]):
            distant = stack.enter_context(_at_the_end(seconds, hosts, number))
            rivals = stack.enter_context(opened([HYBRID, URLLIB3], distant, f"{directory}/pause-{seconds}-{number}"))
            works[number, seconds] = {rival: saving(save, content) for rival, save in rivals.items()}
        for calls in works.values():
            for call in calls.values():
                call()
        samples: dict[tuple[int, float], dict[str, list[float]]] = {
            work: {rival: [] for rival in calls} for work, calls in works.items()
        }
        for _ in range(sizes.rounds):
            time.sleep(sizes.pause)
            for work, calls in works.items():
                for rival, call in calls.items():
                    samples[work][rival].append(timed(call).wall * 1000)
    hosts.remove(FOLDER)
    return [
        _with_round_trips(
            Row.of(f"1 KB save after a pause, {number} hosts, {away(seconds)}", rival, {WALL: taken}), seconds
        )
        for (number, seconds), rivals_samples in samples.items()
        for rival, taken in rivals_samples.items()
    ]


@contextmanager
def _at_the_end(seconds: float, hosts: Hosts, number: int) -> Iterator[Hosts]:
    with serving("line", seconds, *hosts.addresses[:number]) as addresses:
        yield replace(hosts, addresses=addresses, roots=hosts.roots[:number])


def _with_round_trips(row: Row, seconds: float) -> Row:
    spread = row.figures[WALL]
    return replace(row, figures={WALL: spread, ROUND_TRIPS: spread.divided_by(1000 * seconds), **row.figures})


# Larger files, and many.


def _large(hosts: Hosts, rounds: int, directory: str) -> list[Row]:
    source = Path(directory) / "source"
    source.write_bytes(os.urandom(MEGABYTES * 1_000_000))
    content = source.read_bytes()
    numbers = itertools.count()
    with _at_the_end(FARTHEST, hosts, 3) as distant:
        save = saving(through(resto_hybrid(distant, f"{directory}/large")), content)

        def curl() -> None:
            number = next(numbers)
            targets = [
                word
                for address in distant.addresses
                for word in ("-T", str(source), f"http://{address}/{FOLDER}/curl-{number}")
            ]
            run(find_program("curl"), "--no-progress-meter", "--fail", "--parallel", *targets)

        samples = interleave({HYBRID: lambda: timed(save), CURL: lambda: timed(curl)}, rounds, warm_up=1)
    hosts.remove(FOLDER)
    return [Row.of(LARGE, rival, {SECONDS: [one.wall for one in times]}) for rival, times in samples.items()]


def _copies(sizes: Sizes, directory: Path) -> list[Row]:
    master = directory / "master"
    create_files(master, sizes.copied)
    with MediaServer("nginx-dav") as server:
        url, root = server.new_folder()
        scheme, _, rest = url.partition("://")
        address, _, path = rest.partition("/")
        with serving("line", FARTHEST, address) as (distant,):
            folders = [(f"{scheme}://{distant}/{path}", root)]
            calls = {
                WHOLE: resto_sync(master, folders),
                f"{RCLONE}, 16 transfers": rclone_copy(master, folders),
                f"{RCLONE}, {TOGETHER} transfers": rclone_copy(master, folders, TOGETHER),
                f"{CURL}, {TOGETHER} transfers": curl_copy(master, folders, TOGETHER),
            }
            rows = rows_of(
                COPY,
                {rival: into_empty(master, [root], call) for rival, call in calls.items()},
                min(sizes.rounds, 3),
            )
    return [_with_multiple(row, sizes.copied) for row in rows]


def _with_multiple(row: Row, files: int) -> Row:
    multiple = row.figures[SECONDS].divided_by(FARTHEST * max(files / TOGETHER, 1))
    return replace(row, figures={**row.figures, MULTIPLE: multiple})
