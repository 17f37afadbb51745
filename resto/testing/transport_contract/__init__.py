"""The contract of transports, as tests that every transport passes.

Here the themes of the contract become one class. No test is here, as each theme has a module, and no transport: who
subclasses the contract brings it. Look first at `TransportContract`, which says where each theme is.
"""

from resto.testing.transport_contract.abilities import Abilities
from resto.testing.transport_contract.concurrency import Concurrency
from resto.testing.transport_contract.courses import Courses
from resto.testing.transport_contract.directories import Directories
from resto.testing.transport_contract.failures import Failures
from resto.testing.transport_contract.files import Files
from resto.testing.transport_contract.lifecycle import Lifecycle
from resto.testing.transport_contract.names import Names
from resto.testing.transport_contract.parts import Parts
from resto.testing.transport_contract.streams import Streams


__all__ = ["TransportContract"]


# pytest runs the tests of the last base first.
class TransportContract(
    Abilities, Concurrency, Courses, Failures, Parts, Streams, Directories, Names, Files, Lifecycle
):
    """What every `resto.transports.Transport` promises, as tests.

    Subclass it in a test module, under a name that starts with ``Test``, and override one fixture::

        import pytest
        from resto.testing import TransportContract


        class TestMyTransport(TransportContract):
            unreachable_host = "127.0.0.1:1"

            @pytest.fixture
            def transport_and_host(self):
                transport = MyTransport("/media/", timeout=2)
                yield transport, "127.0.0.1:8080"
                transport.close()

    The host must be there, and take files. It need not be empty: every test stores files under names of its own.
    A test that does not apply to a host is left out by ``test_scan_finds_every_file = None``.

    The tests are in a module for each theme:

    - `lifecycle`: how it is made and closed, its flags, and the identities of hosts;
    - `files`: contents, sizes, and files that are replaced, deleted, or not there;
    - `names`: any name, and names that may be taken for one another;
    - `directories`: how they come and go, and what does not harm them;
    - `streams`: uploads and downloads in bounded memory, pipes, and files that cannot be read;
    - `parts`: files that are read from any place on, and that change meanwhile;
    - `failures`: hosts that give no answer, errors and what they tell, secrets;
    - `courses`: actions in steps, which may be begun anew, or given up;
    - `concurrency`: threads, forked children, and readers beside a writer;
    - `abilities`: listings, scans and modification times, which flags announce.

    Attributes:
        unreachable_host: A host that gives no answer; without one, the tests of such hosts are skipped.
        silent_host: A host that takes connections, and then says nothing; without one, its test is skipped.
        host_with_path: Another host, whose files are below those of the first one, or beside them, on the same server; without one,
            its test is skipped.
        secret: A credential that the transport was given; without one, nobody looks whether it shows.
        makes_directories: Whether the host takes names that contain a ``/``.
        keeps_files_in_memory: Whether the host is a part of this process and has no disk. Then it cannot be told how
            much the transport itself holds in memory.
        replaces_at_once: Whether who reads a file while it is replaced gets the old or the new one, whole. Transports
            need not promise that.
        max_examples: How many examples `hypothesis` looks at in each test.
        patience: Seconds after which a test gives up waiting for what must happen.
    """
