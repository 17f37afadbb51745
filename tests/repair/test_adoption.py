"""What is adopted: compared before, refused where it cannot be meant, and known afterwards."""

import pytest
from django.core.files.storage import storages

from kit.recognized import identity, problems, save, states, wipe
from kit.record import files
from resto.exceptions import ConfigurationError
from resto.models import Host
from resto.names import HOST_IDENTITY
from resto.repair.adoption import Adoption


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def servers(two_servers):
    return two_servers


def known():
    return [*Host.objects.order_by("host").values_list("host", "identity", "state")]


def compare(adoption):
    """Return how many files each host lacks, has otherwise, and has too many."""
    report = adoption.compare(lambda number: None)
    return {host.host: (host.missing, host.different, host.extra) for host in report.hosts}


def test_what_is_adopted_is_named(begin, servers):
    storage, host = begin(), servers[0].url
    assert Adoption("default", storage, []).role == "the master copy"
    assert Adoption("default", storage, [host]).role == "hosts of default"
    assert Adoption("default", storage, [host]).location == storage.location
    other = Adoption("default", begin("Distributed"), [])
    assert (other.role, other.location) == ("hosts of default", None)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_comparison_with_the_directory_tells_of_the_hosts_that_are_adopted(begin, servers, chosen):
    """All of them, if it is the directory."""
    storage = begin()
    save(storage, "a")
    save(storage, "d/b")
    servers[0].delete_file("a")
    servers[0].create_file("d/b", b"of another size")
    servers[1].create_file("c", b"c")
    before = known(), files(servers)
    found = compare(Adoption("default", storage, [server.url for server in servers[:chosen]]))
    expected = {servers[0].url: (1, 1, 0), servers[1].url: (0, 0, 1)}
    assert found == {host: expected[host] for host in [*expected][: chosen or 2]}
    assert (known(), files(servers)) == before


def test_hosts_are_compared_with_each_other_without_a_master_copy(begin, servers, resto_server_factory):
    third = resto_server_factory()
    storage = begin("Distributed", [*[server.url for server in servers], third.url])
    save(storage, "same")
    contents = {"a": [None, b"1", b"1"], "b": [b"1", None, None], "c": [b"1", b"1", b"22"], "d": [None, b"1", b"22"]}
    for name, each in contents.items():
        for server, content in zip([*servers, third], each, strict=True):
            if content is not None:
                server.create_file(name, content)
    assert compare(Adoption("default", storage, [])) == {
        servers[0].url: (2, 1, 1),
        servers[1].url: (1, 2, 0),
        third.url: (1, 2, 0),
    }
    assert compare(Adoption("default", storage, [third.url])) == {third.url: (1, 2, 0)}


def test_host_that_is_adopted_is_another_one_for_the_record(begin, servers):
    storage = begin()
    save(storage, "a")
    wipe(servers[0])
    before = [server.url for server in servers], Host.objects.get(host=servers[1].url).identity
    assert Adoption("default", storage, [servers[0].url]).carry_out() == []
    assert identity(servers[0], storage).id == Host.objects.get(host=servers[0].url).identity
    assert states() == dict.fromkeys(before[0], "")
    assert identity(servers[1], storage).id == before[1]
    assert files(servers) == [{}, {"a": b"a"}]  # it is filled by a comparison


def test_what_is_wrong_with_the_other_hosts_is_told_afterwards(begin, servers):
    storage = begin()
    save(storage, "a")
    for server in servers:
        wipe(server)
    (problem,) = Adoption("default", storage, [servers[0].url]).carry_out()
    assert problem.startswith(f"nothing is sent or removed: {servers[1].url} has no file .resto.host any more")


def test_host_that_does_not_take_its_identity_is_not_adopted(begin, servers):
    storage = begin()
    save(storage, "a")
    before = known()
    servers[0].fault_methods, servers[0].refuse_code = {"PUT"}, 507
    with pytest.raises(OSError, match="507"):
        Adoption("default", storage, [servers[0].url]).carry_out()
    assert known() == before


def test_nothing_is_adopted_of_a_storage_of_which_nothing_is_known(begin, servers):
    with pytest.raises(ConfigurationError, match="nothing is known of the storage"):
        Adoption("default", begin(), [servers[0].url]).carry_out()
    assert (known(), dict(servers[0].files)) == ([], {})


# Without a master copy.


def test_host_without_a_master_copy_is_a_new_one(begin, servers):
    save(begin("Distributed"), "a")
    wipe(servers[0])
    storage = begin("Distributed")
    adoption = Adoption("default", storage, [servers[0].url])
    adoption.require_possible()
    assert compare(adoption) == {servers[0].url: (1, 0, 0)}
    assert adoption.carry_out() == []
    assert states() == {servers[0].url: "new", servers[1].url: ""}
    assert problems() == ["", ""]


def test_one_host_that_has_all_files_must_be_left(begin, servers):
    save(begin("Distributed"), "a")
    wipe(servers[0])
    storage = begin("Distributed")
    both = [server.url for server in servers]
    with pytest.raises(ConfigurationError, match="no host would be left"):
        Adoption("default", storage, both).require_possible()
    Adoption("default", storage, both[:1]).carry_out()
    with pytest.raises(ConfigurationError, match="no host would be left"):  # the other one is not filled yet
        Adoption("default", storage, both[1:]).require_possible()
    Adoption("default", storage, []).require_possible()  # hosts stay as they are


# Several storages.


def test_storages_that_share_a_directory_are_adopted_together(begin, settings, servers):
    save(begin(), "a")
    default = settings.STORAGES["default"]
    # Not in threads: the database is in memory, which lets nobody wait for another one.
    later = {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {**default["OPTIONS"], "executor": "inline"}}
    settings.STORAGES = {"default": default, "later": later}
    save(storages["later"], "b")
    wipe(servers[0])
    storage = storages["default"]
    storage.recognition.examine()
    assert Adoption("default", storage, [servers[0].url]).carry_out() == []
    assert problems() == [""] * 4
    assert Adoption("default", storage, []).carry_out() == []
    assert problems() == [""] * 4
    assert HOST_IDENTITY in servers[0].files
