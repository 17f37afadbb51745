"""Transports that give parts of files which are not what they should be."""

import io

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder
from resto.exceptions import TransportError
from resto.testing import TransportContract
from resto.testing.transport_contract.parts import Parts
from resto.transports import FilePart, Version


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Parts)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_part_is_that_of_the_file")
class BeginsTooLate(Folder):
    def open_part(self, host, name, start, end, version=None):
        return super().open_part(host, name, start and start + 1, end, version)


@breaks("test_part_is_that_of_the_file")
class EndsTooLate(Folder):
    def open_part(self, host, name, start, end, version=None):
        return super().open_part(host, name, start, end and end + 1, version)


@breaks("test_part_is_that_of_the_file")
class TellsTheSizeOfThePart(Folder):
    def open_part(self, host, name, start, end, version=None):
        with super().open_part(host, name, start, end).stream as stream:
            content = stream.read()
        return FilePart(io.BytesIO(content), Version(len(content), "always"))


@breaks("test_part_is_that_of_the_file", "test_part_of_another_version_is_refused")
class GivesTheWholeFileAtTimes(Folder):
    def open_part(self, host, name, start, end, version=None):
        return super().open_part(host, name, start, end) if start == 0 else FilePart(self.open(host, name), None)


@breaks("test_part_of_another_version_is_refused")
class MixesVersions(Folder):
    def open_part(self, host, name, start, end, version=None):
        return super().open_part(host, name, start, end)


@breaks("test_part_of_another_version_is_refused", "test_part_of_an_absent_file")
class DoesNotSayWhy(Folder):
    def open_part(self, host, name, start, end, version=None):
        try:
            return super().open_part(host, name, start, end, version)
        except TransportError as error:
            raise TransportError(host, name, "download", error.problem) from error


@breaks("test_part_of_an_absent_file")
class FindsWhatIsAbsent(Folder):
    def open_part(self, host, name, start, end, version=None):
        if not self.exists(host, name):
            return FilePart(io.BytesIO(), None)
        return super().open_part(host, name, start, end, version)


@breaks("test_part_of_a_small_file", "test_parts_are_announced")
class FillsUp(Folder):
    def open_part(self, host, name, start, end, version=None):
        part = super().open_part(host, name, start, end, version)
        return FilePart(io.BytesIO(part.stream.read().ljust(end - start, b" ")), part.version)


@breaks("test_parts_are_announced")
class DoesNotAnnounceThem(Folder):
    supports_parts = False
