"""The durable record: which host may differ from the truth for which name, which directories and servers are known, and who did what."""

from typing import ClassVar

from django.db import models


__all__ = ["Host", "Pending", "Run"]


class Pending(models.Model):
    """One host may have another state of one name than the master copy, until somebody has made it equal.

    Times are seconds since the epoch: where ``USE_TZ`` is off, dates would jump with daylight saving time, and leases with
    them.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
        present: Whether the change left a file; a later one may have been another.
        owner: Whoever holds the row, or held it last.
        quiet_until: Until then the row belongs to its owner, or a request of unknown fate may still land.
        due: When to replicate; never before ``quiet_until``.
        attempts: How often that has failed, or was handed to a task queue.
        error: Why, the last time.
        created: When the name was changed.
        digest: The key again, where rows of a name hang together: without a master copy. Empty with one.
        opened_by: The change that was recorded, where its place among others counts: without a master copy. With one, who has
            handed the row to a task queue last, until a worker takes it.
        latest: The last change of the name that this row knows of.
        key: Stands for the storage and the name. Empty in a row of version 0.1, until a drain has seen it.
    """

    storage = models.CharField(max_length=100)
    host = models.CharField(max_length=500)
    name = models.TextField()
    present = models.BooleanField()
    owner = models.CharField(max_length=32)
    quiet_until = models.FloatField()
    due = models.FloatField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(default="")
    created = models.FloatField()
    digest = models.CharField(max_length=32, default="")
    opened_by = models.CharField(max_length=32, default="")
    latest = models.CharField(max_length=32, default="")
    # Version 0.1 knows nothing of it, and inserts rows as well while a site is deployed. KEY is a word of MySQL.
    key = models.CharField(max_length=32, db_default="", db_column="name_key")

    class Meta:
        """Indexes for the ways in which rows are found: by their owner, by what is due, by name, and by host."""

        verbose_name = "pending name"
        indexes: ClassVar = [
            models.Index(fields=["owner"], name="resto_pending_owner"),
            models.Index(fields=["due"], name="resto_pending_due"),
            models.Index(fields=["digest"], name="resto_pending_digest"),
            models.Index(fields=["key"], name="resto_pending_key"),
            models.Index(fields=["storage", "host", "due"], name="resto_pending_host_due"),
            models.Index(fields=["storage", "host", "created"], name="resto_pending_host_age"),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


class Host(models.Model):
    """What is known of one host of one storage, or of its master copy, which has the address ``""``.

    Times are seconds since the epoch, as for `Pending`.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        identity: What its identity file says, and that of no other directory or server; it stays. Empty while it is being made.
        mark: What the identity file of a master copy says, too; another one each hour. Of a host: whose it is, hashed.
        next_mark: What it is about to say; empty most of the time.
        marks: The last ones and when they came, as JSON, so that an old copy or backup is known for what it is.
        places: Directories below that are on another device, or links, and on what, as JSON. Of a host that is a directory: which
            identity each machine has seen there.
        directories: What a host has shown that it does with directories, and when, as JSON; see `resto.transports.Trial`.
        state: What is the matter with it, such as that it is being restored; empty if nothing is.
        looked: When somebody has seen last that it is what it was.
    """

    storage = models.CharField(max_length=100)
    host = models.CharField(max_length=500)
    identity = models.CharField(max_length=32)
    mark = models.CharField(max_length=32, default="")
    next_mark = models.CharField(max_length=32, default="")
    marks = models.TextField(default="[]")
    places = models.TextField(default="{}")
    directories = models.TextField(default="{}")
    state = models.CharField(max_length=32, default="")
    looked = models.FloatField()

    class Meta:
        """There is one of each, which decides between two that are made at the same time."""

        verbose_name = "media host"
        constraints: ClassVar = [models.UniqueConstraint(fields=["storage", "host"], name="resto_host_once")]

    def __str__(self) -> str:
        return self.host or f"the master copy of {self.storage}"


class Run(models.Model):
    """Something that takes a while and that somebody does, or is to do, for a site: what it is, how far it is, and what came of it.

    Times are seconds since the epoch by the clock of the database, so that those of several machines can be compared. Users are
    told of as text: the record may be in another database than they.

    Attributes:
        kind: ``"drain"``, ``"sync"``, ``"restore"``, ``"adopt"`` or ``"probe"``; ``"watch"`` for a process that stays.
        storage: Alias of the storage in ``STORAGES``; several are joined by commas; empty for all.
        hosts: The hosts as they stand in the settings, as JSON; none for all.
        options: What else was asked for, as JSON.
        asked_by: Who has asked for it on the page; empty if nobody has, as with a command.
        asked: When.
        started: When somebody has begun; null if nobody has so far.
        seen: When whoever does it has given the last sign of life.
        ended: When it has ended; null if it has not.
        machine: Where it is done.
        process: By which process there.
        life: Which one that is, of all that ever have this number; see `resto.life`. Empty if that is not known.
        begun: How often what was asked for has been begun; 0 of what nobody had to ask for.
        done: Names that were dealt with.
        total: Of how many; null if that is not known.
        is_total_final: Whether there can be no more of them.
        sent_bytes: Bytes that were sent to hosts, or fetched from them.
        total_bytes: Of how many; null if that is not known.
        code: The exit code of the command; null as long as it has none.
        counts: What came of it, in numbers, as JSON.
        problems: The first problems, as a list of sentences in JSON.
        report: What else came of it, as JSON. Of a process that stays: how it is.
    """

    kind = models.CharField(max_length=16)
    storage = models.CharField(max_length=500, default="", blank=True)
    hosts = models.TextField(default="[]")
    options = models.TextField(default="{}")
    asked_by = models.CharField(max_length=200, default="", blank=True)
    asked = models.FloatField()
    started = models.FloatField(null=True)
    seen = models.FloatField(null=True)
    ended = models.FloatField(null=True)
    machine = models.CharField(max_length=255, default="", blank=True)
    process = models.PositiveIntegerField(null=True)
    life = models.CharField(max_length=100, default="", blank=True)
    begun = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    is_total_final = models.BooleanField(default=False)
    sent_bytes = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(null=True)
    code = models.SmallIntegerField(null=True)
    counts = models.TextField(default="{}")
    problems = models.TextField(default="[]")
    report = models.TextField(default="{}")

    class Meta:
        """Indexes for the ways in which runs are found: the last ones of a kind and storage, and those that wait or are under way."""

        indexes: ClassVar = [
            models.Index(fields=["kind", "storage", "id"], name="resto_run_kind"),
            models.Index(fields=["ended", "started", "kind", "storage"], name="resto_run_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.storage}" if self.storage else self.kind
