"""Files, and transports that lose them, change them, or make them up."""

import io
from pathlib import Path

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder, path_of
from resto.exceptions import TransportError
from resto.testing import TransportContract
from resto.testing.transport_contract.files import Files


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Files)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_new_file_can_be_read", "test_any_name_is_a_name")
class SaysThatItWasThere(Folder):
    def create(self, host, name, content):
        super().create(host, name, content)
        return True


@breaks("test_new_file_can_be_read", "test_create_replaces_a_file")
class StoresNothing(Folder):
    def create(self, host, name, content):
        return False


@breaks("test_create_replaces_a_file")
class LeavesTheRest(Folder):
    def create(self, host, name, content):
        if not self.exists(host, name):
            return super().create(host, name, content)
        with path_of(host, name).open("r+b") as file:
            file.write(content)
        return True


@breaks("test_create_replaces_a_file")
class KeepsTheOld(Folder):
    def create(self, host, name, content):
        return self.exists(host, name) or super().create(host, name, content)


@breaks("test_any_content_comes_back")
class CutsOff(Folder):
    def create(self, host, name, content):
        content = content if isinstance(content, bytes) else content.read()
        return super().create(host, name, content[:65_536])


@breaks("test_any_content_comes_back")
class TakesItForText(Folder):
    def content(self, host, name):
        return super().content(host, name).replace(b"\r\n", b"\n").replace(b"\x00", b"")


@breaks("test_delete_removes_one_file")
class DeletesNothing(Folder):
    def delete(self, host, name):
        return self.exists(host, name)


@breaks("test_delete_removes_one_file")
class DeletesMore(Folder):
    def delete(self, host, name):
        for file in Path(host).glob("*.txt"):
            file.unlink()
        return True


@breaks("test_absent_file_does_not_exist")
class TakesAbsenceForAFailure(Folder):
    def exists(self, host, name):
        return self.size(host, name) >= 0


@breaks("test_absent_file_cannot_be_read")
class ReadsNothing(Folder):
    def open(self, host, name):
        return super().open(host, name) if self.exists(host, name) else io.BytesIO()


@breaks("test_absent_file_cannot_be_read")
class MeasuresNothing(Folder):
    def size(self, host, name):
        return super().size(host, name) if self.exists(host, name) else 0


@breaks("test_absent_file_cannot_be_read")
class RaisesWhatItGets(Folder):
    def open(self, host, name):
        return path_of(host, name).open("rb")


@breaks("test_absent_file_cannot_be_read", "test_unreachable_host_is_an_error")
class NamesAnotherHost(Folder):
    def size(self, host, name):
        try:
            return super().size(host, name)
        except TransportError as error:
            error.host = "another"
            raise


@breaks("test_absent_file_can_be_deleted")
class CannotDeleteWhatIsAbsent(Folder):
    def delete(self, host, name):
        return self.size(host, name) >= 0 and super().delete(host, name)
