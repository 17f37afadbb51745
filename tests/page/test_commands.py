"""What is typed."""

import shlex

from resto.page.commands import commands_for
from resto.page.looks import Look
from resto.record.backlog import NOTHING
from resto.repair.status import HostStatus, MasterStatus, Stranger


HOST = "http://media-1/$(reboot)/"
STATUS = HostStatus(
    "a b", HOST, reachable=True, problem="", breaker="closed", pending=0, has_more=False, under_way=0, oldest=None,
    due=None, error="",
)  # fmt: skip


def test_with_a_master_copy():
    look = Look(
        "a b", MasterStatus("a b", "/srv/media", "", None), (STATUS,), (Stranger("http://old/", None, NOTHING),)
    )
    found = list(commands_for(look, ["web-1", "web-2"]))
    assert [shlex.split(one.command)[1:] for one in found] == [
        ["resto_restore", "--storage", "a b"],
        ["resto_adopt", "--storage", "a b"],
        ["resto_adopt", "--storage", "a b", "--host", HOST],
        ["resto_sync", "--storage", "a b", "--delete"],
        ["resto_forget", "--storage", "a b", "http://old/"],
    ]
    assert {one.where for one in found} == {"a machine that has /srv/media, such as web-1, web-2"}


def test_without_a_master_copy():
    found = list(commands_for(Look("a", statuses=(STATUS,))))
    assert [one.command.split()[1] for one in found] == ["resto_adopt", "resto_sync"]
    assert {one.where for one in found} == {"any machine of the site"}
