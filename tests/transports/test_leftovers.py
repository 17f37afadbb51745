import pytest

from resto.transports.leftovers import may_be_left_over


LEFTOVERS = {
    "apache": [".davfs.tmpAbCdEf"],
    "lighttpd": ["a.txt.12345.7~", "notes.1.2~"],
    "nginx": ["a.txt.0000000042", "scan.0123456789"],
}
NAMES = {name: server for server, names in LEFTOVERS.items() for name in names}


@pytest.mark.parametrize("server", [*LEFTOVERS, "rclone", "wsgidav", ""])
@pytest.mark.parametrize("name", [*NAMES, "a.txt", "a.1234567890", "a~"])
def test_each_server_has_leftovers_of_its_own(server, name):
    assert may_be_left_over(name, server) is (NAMES.get(name) == server)
