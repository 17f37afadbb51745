"""Names: any of them, and none taken for another one."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from resto.names import problem_of_part
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import new_name, require_content
from resto.transports import Transport


# Bytes of a part that all servers take: lighttpd needs some of the 255 for its temporary names.
_LONG = 231

# Names that a transport may take for one another, or for something else than a name.
_ODD_NAMES = (
    *("a", "a b", "a%20b", "a+b", "%2e%2e%2fa", "a?b", "a#b", "a&b;c=d:e@f", "'\"<>&amp;|*[]{}^`~"),
    *(".a", "a.", " a ", "é日本😀", "x" * _LONG),
)

# Composed (NFC): some servers store the other forms of Unicode under these.
_PARTS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=20)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda part: problem_of_part(part) is None)
)


class Names(TransportSuite):
    """Each name is that of one file."""

    def test_any_name_is_a_name(self, transport_and_host: tuple[Transport, str]) -> None:
        """Whatever `resto.names.clean_name` allows: a file is stored, read and deleted under it."""
        transport, host = transport_and_host
        names = st.lists(_PARTS, min_size=1, max_size=3 if self.makes_directories else 1)

        @self._examples
        @given(names)
        def is_a_name(parts: list[str]) -> None:
            name = new_name("/".join(parts), self._separator)
            content = name.encode()
            assert transport.exists(host, name) is False
            assert transport.create(host, name, content) is False
            assert transport.exists(host, name) is True
            assert transport.size(host, name) == len(content)
            require_content(transport.content(host, name), content)
            directory, _, last = name.rpartition("/")
            if transport.supports_listdir and not last.startswith("."):  # which may be hidden
                assert last in transport.listdir(host, directory)[1], "a listing must tell names as they were given"
            assert transport.delete(host, name) is True
            assert transport.exists(host, name) is False

        is_a_name()

    def test_hosts_of_one_server_share_no_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """A host may have a path of its own: whatever is done there is done to its own files, and not to those beside them."""
        other = self._told("host_with_path")
        transport, host = transport_and_host
        name = new_name("shared.txt")
        assert transport.identify(other) != transport.identify(host)
        transport.create(host, name, b"one")
        assert transport.exists(other, name) is False
        assert transport.delete(other, name) is False
        assert transport.create(other, name, b"the other") is False
        for one, content in ((host, b"one"), (other, b"the other")):
            require_content(transport.content(one, name), content)
            assert transport.size(one, name) == len(content)
            assert transport.create(one, name, content) is True
            if transport.supports_listdir:
                assert name in transport.listdir(one, "")[1], "a file must be listed under its name on the host"
        assert transport.delete(host, name) is True
        require_content(transport.content(other, name), b"the other")

    def test_names_are_taken_literally(self, transport_and_host: tuple[Transport, str]) -> None:
        """Names that look alike once they are encoded, decoded or cut off are those of different files."""
        transport, host = transport_and_host
        directory = new_name("")
        names = [f"{directory}{self._separator}{name}" for name in _ODD_NAMES]
        for name in names:
            assert transport.create(host, name, name.encode()) is False, f"{name!r} was taken for another name"
        for name in names:
            assert transport.content(host, name) == name.encode(), f"{name!r} was taken for another name"
        if transport.supports_listdir and self.makes_directories:
            assert {*_ODD_NAMES} - {*transport.listdir(host, directory)[1]} <= {".a"}  # which may be hidden
        for name in names:
            assert transport.delete(host, name) is True, f"{name!r} was taken for another name"
