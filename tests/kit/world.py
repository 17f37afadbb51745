"""A world in which a scenario decides everything: who moves, what arrives, who crashes, and how time passes."""

import io
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from functools import partial

from django.db import DatabaseError, OperationalError, connections

from kit.staging import Stage
from resto import health
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.executors import Lanes, thread
from resto.master.copy import MasterCopy
from resto.master.root import Root
from resto.models import Pending
from resto.record import backlog, database, leases
from resto.storage import copying, listing, unmastered
from resto.transports import Transport


LIFETIME = 50  # seconds that a request can be on its way; shorter than the grace


class CrashError(BaseException):
    """The process is gone, between two steps."""


class Request:
    """On its way to a host, until it is carried out, or lost."""

    def __init__(self, world, carry_out):
        self.carry_out, self.deadline, self.is_over = carry_out, world.now + LIFETIME, False

    def end(self, *, arrives):
        self.is_over = True
        return self.carry_out() if arrives else None


class World:
    """Hosts, a clock, and what a scenario decides."""

    def __init__(self, scenario):
        self.stage, self.hosts, self.now = Stage(), defaultdict(dict), 1_000_000.0
        self.requests, self.faults, self.crashes = [], iter(scenario["faults"]), iter(scenario["crashes"])
        self.outages, self._actor = iter(scenario.get("outages", ())), threading.local()

    def pause(self):
        """Let others move, and perhaps end this actor for ever."""
        if self.stage.is_acting():
            self.require_alive()
            self.stage.pause()
            if next(self.crashes, 0) == 1:
                self._actor.is_gone = True
                raise CrashError

    def require_alive(self):
        """Let nothing be done by a process that is gone, such as what it would do in the end."""
        if getattr(self._actor, "is_gone", False):
            raise CrashError

    @contextmanager
    def unreliable(self, connected):
        """Let the database fail, if the scenario says so: 1 before a statement, 2 after it."""
        outage = next(self.outages, 0) if self.stage.is_acting() else 0
        if outage == 1:
            raise OperationalError("the database is down")
        with connected as connection:
            yield connection
        if outage == 2:
            raise OperationalError("the answer is lost")

    def send(self, host, name, carry_out):
        """Send a request, and return its answer."""
        self.require_alive()
        request = Request(self, carry_out)
        self.requests.append(request)
        self.pause()
        if request.is_over:
            raise self._silence(host, name)
        fault = next(self.faults, 0) if self.stage.is_acting() else 0
        if fault == 1:  # it arrives, the answer does not
            request.end(arrives=True)
            raise self._silence(host, name)
        if fault == 2:  # nobody knows; it may arrive later
            raise self._silence(host, name)
        if fault == 3:
            request.end(arrives=False)
            raise HostUnavailableError(host, name, "upload", "refused")
        answer = request.end(arrives=True)
        self.pause()
        return answer

    def _silence(self, host, name):
        return HostUnavailableError(host, name, "upload", "no answer", ambiguous=True)

    def pass_time(self, seconds, *, arrives):
        """Let time pass; what was on its way for too long has arrived by then, or never will."""
        self.now += seconds
        for request in self.requests:
            if not request.is_over and request.deadline < self.now:
                request.end(arrives=arrives)

    def play_out(self, scenario, writers, drain, *, rounds, pause):
        """Let writers, two drains, time and late requests move as a scenario says; then drain until all is quiet."""
        connection = connections["default"]
        connection.inc_thread_sharing()

        def actor(function):
            def act():
                connections["default"] = connection  # only one actor moves at a time
                with suppress(CrashError, DatabaseError):
                    function()

            return act

        def pass_time():
            for seconds, arrives in zip(scenario["times"], scenario["arrives"], strict=False):
                self.stage.pause()
                self.pass_time(seconds, arrives=arrives)

        def deliver():
            for _ in range(4):
                self.stage.pause()
                self.deliver()

        def repair():
            for _ in range(2):
                drain()

        try:
            actors = [*writers, repair, repair, pass_time, deliver]
            self.stage.play([actor(function) for function in actors], scenario["schedule"])
        finally:
            connection.dec_thread_sharing()
        for arrives in (scenario["arrives"] * 3)[:rounds]:
            self.pass_time(pause, arrives=arrives)
            drain()

    def deliver(self):
        """Let the oldest request arrive whose sender has given up, or waits."""
        for request in self.requests:
            if not request.is_over:
                request.end(arrives=True)
                return


class WorldTransport(Transport):
    """Speaks to the hosts of a world."""

    def __init__(self, base_url, *, timeout, world):
        super().__init__(base_url, timeout=timeout)
        self.world = world

    def create(self, host, name, content):
        files, sent = self.world.hosts[host], content if isinstance(content, bytes) else content.read()

        def carry_out():
            existed = name in files
            files[name] = sent
            return existed

        return self.world.send(host, name, carry_out)

    def delete(self, host, name):
        return self.world.send(host, name, lambda: self.world.hosts[host].pop(name, None) is not None)

    def exists(self, host, name):
        return self.world.send(host, name, lambda: name in self.world.hosts[host])

    def open(self, host, name):
        content = self.world.send(host, name, lambda: self.world.hosts[host].get(name))
        if content is None:
            raise RemoteFileNotFoundError(host, name, "download", "404")
        return io.BytesIO(content)

    def size(self, host, name):
        size = self.world.send(host, name, lambda: len(self.world.hosts[host].get(name, b"")) or None)
        if size is None:
            raise RemoteFileNotFoundError(host, name, "size", "404")
        return size


def paused(world, function):
    """Return a function before which others may move."""

    def step(*args, **kwargs):
        world.pause()
        return function(*args, **kwargs)

    return step


def separate_actors(patch):
    """Let each actor be as a process of its own, whose threads are itself: only so can it be paused."""
    patch.setattr(thread, "process_lanes", Lanes)
    patch.setattr(thread._Pool, "offer", lambda pool, lanes, task: lanes.attempt(task))


def live_in(world, patch):
    """Let all of resto live by the clock of a world, without chance, and begin with nothing recorded."""
    patch.setattr(leases, "clock", lambda: world.now)
    patch.setattr(leases, "monotonic", lambda: world.now)
    patch.setattr(leases, "retry_delay", lambda retries: 1.0)
    separate_actors(patch)
    pause_at_the_database(patch, world)
    patch.setattr(health, "Breaker", partial(health.Breaker, lambda: world.now, lambda low, high: 1))
    Pending.objects.all().delete()
    health.forget()


def pause_at_the_master_copy(patch, world):
    for cls, method in ((Root, "publish"), (MasterCopy, "delete"), (MasterCopy, "fingerprint")):
        patch.setattr(cls, method, paused(world, getattr(cls, method)))


def pause_at_the_database(patch, world):
    """Let others move before each statement."""
    original = database.connected
    connected = paused(world, lambda: world.unreliable(original()))
    patch.setattr(database, "connected", connected)
    patch.setattr(backlog, "connected", connected)


def replace_truth_of(patch, truth_of):
    """Let all who ask where the truth of a name is use another function."""
    for module in (copying, listing, unmastered):
        patch.setattr(module, "truth_of", truth_of)
