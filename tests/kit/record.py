"""What hosts hold, and what the record says of them."""

from resto.exceptions import HostUnavailableError, UnexpectedStatusCode
from resto.models import Pending
from resto.names import HOST_IDENTITY
from resto.outcomes import Outcome
from resto.record import opening


HOSTS = ("media-1", "media-2", "media-3")
REFUSED = HostUnavailableError("media-1", "a", "upload", "refused")
SILENT = HostUnavailableError("media-1", "a", "upload", "silent", ambiguous=True)
FULL = UnexpectedStatusCode("media-1", "a", "upload", 507, "full")


def files(servers):
    """What hosts have, but for the files that say which hosts they are."""
    return [{name: content for name, content in server.files.items() if name != HOST_IDENTITY} for server in servers]


def pending_for():
    return sorted(Pending.objects.values_list("host", "name", "present"))


def open_lease(name="a", hosts=HOSTS, storage="default"):
    return opening.open_lease(storage, hosts, name, present=True)


def outcome(host, error=None):
    return Outcome("upload", host, "a", 0.1, error=error)


def recorded():
    return {row.host: row for row in Pending.objects.all()}
