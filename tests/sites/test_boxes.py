"""Three boxes that are killed, cut off, and come back, while clients save, read and delete through all of them.

No file is lost that was acknowledged, what is deleted stays deleted, reads are as the documentation says on every box that is up, and in
the end all hosts have the same. ``make fleet`` goes on for minutes.
"""

import os
import random
import secrets
import threading
import time
from collections import Counter

import pytest

from kit.servers import require
from sites.boxes.fleet import Fleet


# Seconds for which boxes fail.
DURATION = float(os.environ.get("RESTO_BOXES", "4"))
CLIENTS = 4

# Files that are on all hosts before any box fails, and that nobody deletes.
OLD = [f"old/{number}.txt" for number in range(5)]

# Seconds between two failures, at most.
PAUSE = 1.0


class Ledger:
    """What clients have been told, and when, by the clock of this machine; and what was wrong about that."""

    def __init__(self):
        self.lock = threading.Lock()
        self.content, self.saved, self.begun, self.deleted = {}, {}, {}, {}
        self.problems, self.done = [], Counter()

    def choose(self, chance):
        """Return a name that was saved; None if there is none."""
        with self.lock:
            return chance.choice([*self.saved]) if self.saved else None

    def begin_deletion(self, name):
        """Return whether nobody else has begun to delete a file."""
        with self.lock:
            return name is not None and self.begun.setdefault(name, time.monotonic()) is not None

    def judge(self, name, box, started, status, body, *, was_well):
        """Say what is wrong about an answer to a read that has just ended, of a box that was well all the time, or not."""
        with self.lock:
            deleted, begun = self.deleted.get(name), self.begun.get(name)
        if status == 200 and body != self.content[name]:
            return f"{name} had another content on box {box.number}"
        if status == 200 and deleted is not None and deleted < started - box.lag:
            return f"{name} was read on box {box.number}, {started - deleted:.2f} s after it was deleted"
        if name in OLD and was_well and status != 200:
            return f"{name} was not read on box {box.number}, which was well: {status} {body!r}"
        if status == 404 and begun is None:
            return f"{name} was not found on box {box.number}: {body!r}"
        return None


class Client(threading.Thread):
    """Somebody who saves, reads and deletes, through any box."""

    def __init__(self, fleet, ledger, number):
        super().__init__()
        self.fleet, self.ledger = fleet, ledger
        self.number, self.chance = number, random.Random(secrets.token_bytes(8))
        self.is_over = threading.Event()
        self.failure = None

    def run(self):
        try:
            count = 0
            while not self.is_over.is_set():
                count += 1
                box = self.chance.choice(self.fleet.boxes)
                act = self.chance.choices([self.save, self.read, self.delete], [3, 6, 2])[0]
                try:
                    outcome = act(box, count)
                except OSError:
                    outcome = "no answer"
                    time.sleep(0.02)  # it is down
                if outcome is not None:
                    self.ledger.done[act.__name__, outcome] += 1
        except BaseException as error:
            self.failure = error
            raise

    def save(self, box, count):
        name, content = f"{self.number}/{count}.txt", secrets.token_hex(500).encode()
        self.ledger.content[name] = content
        status, body = box.ask("save", name, content)
        if status == 200:
            assert body.decode() == name
            with self.ledger.lock:
                self.ledger.saved[name] = time.monotonic()
        return status

    def delete(self, box, count):
        name = self.ledger.choose(self.chance)
        if name is None or name in self.ledger.begun or not self.ledger.begin_deletion(name):
            return None
        status, _ = box.ask("delete", name, b"")
        if status == 200:
            with self.ledger.lock:
                self.ledger.deleted[name] = time.monotonic()
        return status

    def read(self, box, count):
        name = self.ledger.choose(self.chance)
        if name is None or self.chance.random() < 0.3:
            name = self.chance.choice(OLD)
        started, changes, was_well = time.monotonic(), box.changes, box.is_well
        status, body = box.ask("read", name)
        was_well = was_well and box.is_well and box.changes == changes
        problem = self.ledger.judge(name, box, started, status, body, was_well=was_well)
        if problem is not None:
            self.ledger.problems.append(problem)
        return status


def fail(fleet, duration):
    """Let boxes fail and come back; return how often each has."""
    chance, end, done = random.Random(secrets.token_bytes(8)), time.monotonic() + duration, Counter()
    planned = ["kill", "cut off"]  # each at least once
    while time.monotonic() < end or planned:
        time.sleep(chance.uniform(0.2, PAUSE))
        failing = [box for box in fleet.boxes if not box.is_well]
        well = [box for box in fleet.boxes if box not in failing]
        what = planned.pop(0) if planned else chance.choice(["kill", "cut off", "come back", "come back"])
        if len(failing) == 2 or (failing and what == "come back"):
            chance.choice(failing).come_back()
            done["come back"] += 1
        elif what == "kill":
            chance.choice(well).kill()
            done[what] += 1
        elif what == "cut off":
            chance.choice(well).cut_off()
            done[what] += 1
    for box in fleet.boxes:
        box.come_back()
    return done


@pytest.fixture
def fleet(postgresql):
    require("nginx")
    with Fleet(postgresql) as fleet:
        yield fleet


def test_three_boxes(fleet):
    fleet.wait_until_ready()
    ledger = Ledger()
    for name in OLD:
        ledger.content[name] = name.encode()
        assert fleet.boxes[0].ask("save", name, name.encode()) == (200, name.encode())
    fleet.settle()
    clients = [Client(fleet, ledger, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        failures = fail(fleet, DURATION)
    finally:
        for client in clients:
            client.is_over.set()
        for client in clients:
            client.join()
    assert [client.failure for client in clients] == [None] * CLIENTS
    began = time.monotonic()
    drains = fleet.settle()
    told = dict(sorted((" ".join(map(str, what)), count) for what, count in ledger.done.items()))
    print(dict(failures), told, f"settled in {time.monotonic() - began:.1f} s by {drains} drains", sep="\n")  # noqa: T201
    assert ledger.problems == [], fleet.logs()
    held = [box.files() for box in fleet.boxes]
    assert held[0] == held[1] == held[2]
    for name in [*OLD, *ledger.saved]:
        if name not in ledger.begun:
            assert held[0].get(name) == ledger.content[name], name
        elif name in ledger.deleted:
            assert name not in held[0]
    assert all(content == ledger.content[name] for name, content in held[0].items())
    assert min(ledger.done["save", 200], ledger.done["read", 200]) > 0
    for box in fleet.boxes:
        status, printed = box.manage("check")
        assert (status, "W018" in printed) == (0, False), printed  # each has read what is near
