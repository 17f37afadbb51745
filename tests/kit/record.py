"""What hosts hold, and what the record says of them."""

from resto.models import Pending


def files(servers):
    return [dict(server.files) for server in servers]


def pending_for():
    return sorted(Pending.objects.values_list("host", "name", "present"))
