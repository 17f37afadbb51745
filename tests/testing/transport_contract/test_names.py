"""Names, and transports that take them for others."""

from urllib.parse import unquote

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder
from resto.testing import TransportContract
from resto.testing.transport_contract.names import Names


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Names)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_any_name_is_a_name")
class KnowsEnglishOnly(Folder):
    def create(self, host, name, content):
        return super().create(host, name.encode("ascii").decode(), content)


class Renames(Folder):
    """Takes a name for another one."""

    def change(self, name):
        raise NotImplementedError

    def open(self, host, name):
        return super().open(host, self.change(name))

    def exists(self, host, name):
        return super().exists(host, self.change(name))

    def size(self, host, name):
        return super().size(host, self.change(name))

    def create(self, host, name, content):
        return super().create(host, self.change(name), content)

    def delete(self, host, name):
        return super().delete(host, self.change(name))


@breaks("test_names_are_taken_literally")
class Decodes(Renames):
    change = staticmethod(unquote)


@breaks("test_names_are_taken_literally")
class HasAQuery(Renames):
    def change(self, name):
        return name.partition("?")[0]


@breaks("test_names_are_taken_literally")
class HasAFragment(Renames):
    def change(self, name):
        return name.partition("#")[0]


@breaks("test_names_are_taken_literally")
class Strips(Renames):
    def change(self, name):
        return name.strip(" .")


@breaks("test_any_name_is_a_name", "test_names_are_taken_literally")
class ListsAnotherName(Folder):
    def listdir(self, host, name):
        directories, files = super().listdir(host, name)
        return directories, [ascii(file) for file in files]


@breaks("test_hosts_of_one_server_share_no_file")
class LeavesOutThePath(Folder):
    def create(self, host, name, content):
        return super().create(host.removesuffix("/a path of its own"), name, content)


@breaks("test_hosts_of_one_server_share_no_file")
class DeletesBeside(Folder):
    def delete(self, host, name):
        return super().delete(host.removesuffix("/a path of its own"), name)


@breaks("test_hosts_of_one_server_share_no_file")
class TakesThemForOne(Folder):
    def identify(self, host):
        return host.removesuffix("/a path of its own")
