"""Threads that end leave no connection, not even one to a database in memory, and none is taken from whoever has lent it."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from resto.record.closing import close_all


pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(call):
    """Call something in a thread, and return what it has returned."""
    returned = []
    thread = threading.Thread(target=lambda: returned.append(call()))
    thread.start()
    thread.join()
    return returned[0]


def test_connection_to_a_database_in_memory_is_closed_and_the_database_stays():
    def use():
        found = User.objects.count()
        close_all()
        return found, connection.connection

    User.objects.create(username="somebody")
    assert connection.is_in_memory_db()
    assert in_thread(use) == (1, None)
    assert User.objects.count() == 1


def test_connection_of_somebody_else_stays():
    def use():
        connections["default"] = caller
        close_all()

    caller = connections["default"]
    caller.ensure_connection()
    caller.inc_thread_sharing()
    try:
        in_thread(use)
    finally:
        caller.dec_thread_sharing()
    assert caller.connection is not None


def test_transaction_goes_on():
    with transaction.atomic():
        User.objects.create(username="somebody")
        close_all()
    assert User.objects.count() == 1
