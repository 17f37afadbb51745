"""What transports may be able to do, and some that cannot do it, or can without saying so."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder, path_of
from resto.testing import TransportContract
from resto.testing.transport_contract.abilities import Abilities
from resto.transports import Directory, Entry


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Abilities)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_modified_time_is_recent")
class HasNoTimeZone(Folder):
    def modified_time(self, host, name):
        return datetime.fromtimestamp(super().modified_time(host, name).timestamp())


@breaks("test_modified_time_is_recent")
class LivesElsewhere(Folder):
    def modified_time(self, host, name):
        return super().modified_time(host, name) + timedelta(hours=1)


@breaks("test_modified_time_is_recent")
class CanTellTheTime(Folder):
    supports_modified_time = False


@breaks("test_listdir_tells_what_is_in_a_directory")
class CanList(Folder):
    supports_listdir = False


@breaks("test_listdir_tells_what_is_in_a_directory", "test_browse_tells_what_is_in_a_directory")
class ListsFilesOnly(Folder):
    def listdir(self, host, name):
        return [], super().listdir(host, name)[1]


@breaks("test_listdir_tells_what_is_in_a_directory", "test_browse_tells_what_is_in_a_directory")
class ListsWhatIsAbsent(Folder):
    def listdir(self, host, name):
        return super().listdir(host, name) if path_of(host, name).is_dir() else ([], [])


@breaks("test_listdir_tells_what_is_in_a_directory")
class TakesFilesForDirectories(Folder):
    def listdir(self, host, name):
        return ([], []) if path_of(host, name).is_file() else super().listdir(host, name)


@breaks("test_listdir_tells_what_is_in_a_directory")
class ListsWholeNames(Folder):
    def listdir(self, host, name):
        directories, files = super().listdir(host, name)
        return directories, [str(Path(name, file)) for file in files]


@breaks("test_scan_finds_every_file")
class CanScan(Folder):
    supports_scan = False


@breaks("test_scan_finds_every_file")
class ScansAllAtOnce(Folder):
    def scan(self, host, prefix):
        return list(super().scan(host, prefix))


@breaks("test_scan_finds_every_file")
class ScansOneLevel(Folder):
    def scan(self, host, prefix):
        return (entry for entry in super().scan(host, prefix) if entry.name.count("/") < 2)


@breaks("test_scan_finds_every_file")
class ScansSizesInBlocks(Folder):
    def scan(self, host, prefix):
        return (Entry(entry.name, 4096, None, None) for entry in super().scan(host, prefix))


@breaks("test_browse_tells_what_is_in_a_directory")
class BrowsesSizesInBlocks(Folder):
    def browse(self, host, name):
        found = super().browse(host, name)
        return Directory(found.directories, dict.fromkeys(found.files, 4096))
