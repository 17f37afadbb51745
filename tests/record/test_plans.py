"""No statement of the record looks at the rows of others, however many there are."""

import json
import time
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import F

from kit.record import FULL, REFUSED, SILENT, open_lease, outcome
from resto.models import Pending
from resto.record import backlog, chosen, claims, identities, lag, leases, left_out, opening, rests, rows


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("database", "others", "parts")]

OTHERS = 3_000  # rows of each kind that have nothing to do with what is done

# A look at all rows is one at 6 000. Parts are of 20 rows, and what a statement deletes or changes is read again.
LIMIT = 500


@pytest.fixture
def parts(monkeypatch):
    """Little is done at a time, so that it can be told from a look at all rows."""
    monkeypatch.setattr(rests, "PART", 20)
    monkeypatch.setattr(backlog, "MOST", 20)
    monkeypatch.setattr(lag, "MOST", 20)
    monkeypatch.setattr(leases, "_unreachable", set())
    monkeypatch.setattr(leases, "_hastened", {})


@pytest.fixture(scope="module")
def table_of_others(database, django_db_blocker):
    """Rows of a host that is down, of a storage with a master copy, and of one without; their times count from zero."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        fill("media-9", now=0)
        cursor.execute("CREATE TABLE others AS SELECT * FROM resto_pending")
        Pending.objects.all().delete()
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE others")


@pytest.fixture
def others(table_of_others):
    """Those of that table, as of now: to copy them is much quicker than to make them."""
    now, quote = time.time(), connection.ops.quote_name
    columns = [quote(field.column) for field in Pending._meta.concrete_fields]
    times = [quote(name) for name in ("quiet_until", "due", "created")]
    values = [f"{column} + {now}" if column in times else column for column in columns]
    Pending.objects.all().delete()  # MariaDB commits what a test has done when it analyzes
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO resto_pending ({', '.join(columns)}) SELECT {', '.join(values)} FROM others")
    analyze()


def fill(host, now=None, **times):
    now = time.time() if now is None else now
    Pending.objects.bulk_create(
        Pending(
            storage=storage, host=host, name=f"{storage}/{number:06}", present=True, owner=f"{storage} {number}",
            attempts=1, error="down", created=now - number, opened_by=f"{number}",
            latest=f"{number}", digest=rows.digest_of(storage, str(number)) if storage == "copied" else "",
            key=rows.digest_of(storage, str(number)), **{"quiet_until": now, "due": now + 100 + number / 100} | times,
        )
        for storage in ("default", "copied")
        for number in range(OTHERS)
    )  # fmt: skip


def analyze():
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE resto_pending" if connection.vendor == "mysql" else "ANALYZE resto_pending")


@contextmanager
def examined():
    """Yield a list; it gets each statement, and how many rows the database has looked at for it."""
    found = []
    count = {"sqlite": count_in_sqlite, "postgresql": count_in_postgresql, "mysql": count_in_mariadb}[connection.vendor]

    def watch(execute, sql, params, many, context):
        if "resto_pending" not in sql or "analyze" in sql.lower():
            return execute(sql, params, many, context)
        number, result = count(execute, sql, params, many, context)
        found.append((number, sql))
        return result

    with connection.execute_wrapper(watch):
        yield found


def count_in_sqlite(execute, sql, params, many, context):
    """Count steps of its machine: for each row that is looked at there are some."""
    steps = [0]

    def step():
        steps[0] += 1

    connection.connection.set_progress_handler(step, 10)
    try:
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT"):
            rows_ = context["cursor"].fetchall()
            context["cursor"].fetchall = lambda: rows_
    finally:
        connection.connection.set_progress_handler(None, 0)
    return steps[0], result


def count_in_postgresql(execute, sql, params, many, context):
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT examined")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
        ((plan,),) = cursor.fetchall()
        cursor.execute("ROLLBACK TO SAVEPOINT examined")
    return in_plan((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]), execute(
        sql, params, many, context
    )


def in_plan(node):
    removed = sum(number for key, number in node.items() if key.startswith("Rows Removed"))
    own = (node["Actual Rows"] + removed) * node["Actual Loops"] if "Scan" in node["Node Type"] else 0
    return own + sum(map(in_plan, node.get("Plans", [])))


def count_in_mariadb(execute, sql, params, many, context):
    before = handler_reads()
    base = handler_reads() - before
    before = handler_reads()
    result = execute(sql, params, many, context)
    rows_ = context["cursor"].fetchall() if sql.startswith("SELECT") else ()
    number = handler_reads() - before - base
    context["cursor"].fetchall = lambda: rows_
    return number, result


def handler_reads():
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        return sum(int(number) for _, number in cursor.fetchall())


def with_a_master_copy():
    lease = open_lease("a", ["media-1", "media-2", "media-3"])
    lease._renewed -= 200
    lease.keep()
    lease.settle([outcome("media-1"), outcome("media-2", REFUSED), outcome("media-3", SILENT)])
    lease.settle([outcome("media-2", FULL)])
    lease.expect_absence("a")
    lease.hand_over()
    lease.release(0)
    claimed = claims.claim(2)
    leases.skip_leases([one.lease for one in claimed], claimed[0].lease)
    open_lease("b").forget()
    claims.adopt_lease(open_lease("c").token, "default", ["media-1"], "c", present=True)
    claims.adopt_lease("gone", "default", ["media-1"], "d", present=True)
    many = opening.open_leases("default", [("media-1", "e"), ("media-2", "f")])
    leases.settle_leases([(many[0], outcome("media-1")), (many[1], outcome("media-2", REFUSED))])
    leases.forget_leases(many)


def without_a_master_copy():
    first = opening.open_change("copied", ["media-1", "media-2"], "a", present=True)
    first.overrule("copied", "a")
    first.revoke()
    first.release(0)
    second = opening.open_change("copied", ["media-1", "media-2"], "a", present=True)
    second.take_over("copied", "a")
    second.expect([second.token])
    second.settle([outcome("media-1"), outcome("media-2", REFUSED)])
    second.forget()
    opening.open_change("copied", ["media-1"], "b", present=True).release(0)
    claims.claim_name("copied", "media-1", "b")
    opening.open_change("copied", ["media-1"], "c", present=True).release(0)
    [one] = claims.claim(1)
    one.lease.expect(["another"])
    leases.settle_leases([(one.lease, outcome("media-1"))])
    rows.make_findable(one.lease.token, "copied", "c")
    old = open_lease("d", ["media-1"], "copied")
    rows.make_findable(old.token, "copied", "d")
    backlog.rows_of_name("copied", "a")
    backlog.rows_of_names("copied", ["a", "b"])


def of_the_backlog():
    open_lease("a", ["media-1"], "copied").settle([outcome("media-1", FULL)])
    backlog.backlog_of("default")
    backlog.backlog_of("copied")
    backlog.backlog_of("other")
    lag.lag_of("copied", ["media-1", "media-2", "media-9"])
    rows.pairs()


def drains():
    claims.claim(10)
    claims.claim(10, hosts=["media-1", "media-9"])
    claims.claim(10, storages=["default"], without={("default", "media-1")})
    rests.hasten("media-9", time.time())
    leases._unreachable.add("media-9")
    open_lease("a", ["media-9"]).settle([outcome("media-9")])
    for _ in range(3):
        [lease] = opening.open_leases("default", [("media-9", "b")])
        leases._unreachable.add("media-9")
        leases.settle_leases([(lease, outcome("media-9"))])
    claims.claim(10)
    rests.call_back(time.time())
    claims.forget_before("default", "media-9", time.time() - OTHERS + 10)
    Pending.objects.filter(name="copied/000100").update(key="")
    rows.add_keys()


def a_clock_that_was_wrong():
    ahead = 10 * 365 * 86_400
    Pending.objects.filter(storage="copied").update(due=F("due") + ahead, quiet_until=F("due") + ahead)
    rests.call_back(time.time())


def all_due_at_once():
    """As version 0.1 made them due, and as `--now` does."""
    Pending.objects.update(due=1)
    analyze()
    for _ in range(3):
        claims.claim(10)


@pytest.mark.parametrize(
    "act", [with_a_master_copy, without_a_master_copy, of_the_backlog, drains, a_clock_that_was_wrong, all_due_at_once]
)
def test_no_statement_looks_at_all_rows(act):
    with examined() as found:
        act()
    assert len(found) >= 5
    own = [one for one in found if 'UPDATE "' not in one[1] and "UPDATE `" not in one[1]]  # those of this test
    assert [one for one in own if one[0] > LIMIT] == []


def test_no_statement_looks_at_rows_of_another_host_that_are_due_at_the_same_moment():
    """Those of another one were written first, so that they come first where they are as good."""
    moment = time.time() + 1000
    Pending.objects.update(due=moment)
    fill("media-8", due=moment)
    identities.add("default", "media-8", "1" * 32, state=identities.NEW)
    analyze()
    with examined() as found:
        reached = rests.hasten("media-8", time.time())
        rests.hasten("media-8", time.time(), reached)
        claims.claim(10, hosts=["media-8"])
        backlog.backlog_of_host("default", "media-8")
        next(chosen.forget_host("default", "media-8"))
        left_out.count_again("default", "media-8")
    assert len(found) >= 5
    assert [one for one in found if one[0] > LIMIT] == []


def test_a_look_at_all_rows_would_be_seen():
    with examined() as found:
        rows.select({"attempts > %s": 5})
    assert found[0][0] > LIMIT
