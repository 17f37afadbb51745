"""What a site had that has lost the directory of its master copy, and what is there by now."""

from resto.models import Host
from resto.names import MASTER_IDENTITY


ALL = {name: name.encode() for name in ("a", "d/b", "d/e/c")}


def files_below(directory):
    found = {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
    found.pop(MASTER_IDENTITY, None)
    return found


def state():
    return Host.objects.get(host="").state
