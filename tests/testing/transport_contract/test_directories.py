"""Directories, and transports that harm them, or harm files by them."""

import shutil
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder, path_of
from resto.testing import TransportContract
from resto.testing.transport_contract.directories import Directories
from resto.transports import Directory, Trial


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Directories)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_names_may_be_deep")
class MakesOneDirectory(Folder):
    def create(self, host, name, content):
        path_of(host, name).parent.mkdir(exist_ok=True)
        return super().create(host, name, content)


@breaks("test_directory_is_never_harmed")
class DeletesDirectories(Folder):
    def delete(self, host, name):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().delete(host, name)


@breaks("test_empty_directory_is_not_deleted")
class DeletesEmptyDirectories(Folder):
    def delete(self, host, name):
        with suppress(OSError):
            path_of(host, name).rmdir()
        return super().delete(host, name)


@breaks("test_directory_is_never_harmed")
class ReplacesDirectories(Folder):
    def create(self, host, name, content):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().create(host, name, content)


class Trying(Folder):
    """With a trial, of which the one or the other goes wrong."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.known = None

    def try_directories(self, host):
        self.known = Trial(spares=True, tells="", looks=(), tried=time.time())
        return self.known

    def trial(self, host):
        return self.known

    def believe(self, host, trial):
        if self.known is None or trial.tried > self.known.tried:
            self.known = trial


@breaks("test_trial_is_true_and_leaves_nothing")
class LeavesTrials(Trying):
    def try_directories(self, host):
        path_of(host, ".resto-1").mkdir()
        return super().try_directories(host)

    def browse(self, host, name):
        return Directory({path.name for path in path_of(host, name).iterdir()})


@breaks("test_trial_is_true_and_leaves_nothing")
class ForgetsTrials(Trying):
    def trial(self, host):
        return None


@breaks("test_trial_is_true_and_leaves_nothing")
class DeletesDirectoriesOnceTried(Trying):
    def delete(self, host, name):
        if self.known:
            shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().delete(host, name)


@breaks("test_trial_can_be_told_to_other_processes")
class TriesWithObjects(Trying):
    def try_directories(self, host):
        super().try_directories(host)
        self.known = replace(self.known, looks=(object(),))
        return self.known


@breaks("test_trial_can_be_told_to_other_processes")
class BelievesWhatIsOlder(Trying):
    def believe(self, host, trial):
        self.known = trial


@breaks("test_trial_can_be_told_to_other_processes")
class BelievesSomethingElse(Trying):
    def believe(self, host, trial):
        super().believe(host, replace(trial, spares=True))


@breaks("test_file_is_never_made_a_directory")
class ReplacesParents(Folder):
    def create(self, host, name, content):
        if path_of(host, name).parent.is_file():
            path_of(host, name).parent.unlink()
        return super().create(host, name, content)


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class RemovesDirectoriesOfTheSite(Folder):
    def remove_directory(self, host, name):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return True


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class RemovesFilesOnly(Folder):
    def remove_directory(self, host, name):
        for path in path_of(host, name).glob("*.txt"):
            path.unlink()
        return True


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class ForgetsThatItRemovesDirectories(Folder):
    def remove_directory(self, host, name):
        there = path_of(host, name).exists()
        return super().remove_directory(host, name) and not there
