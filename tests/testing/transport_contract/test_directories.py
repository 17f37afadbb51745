"""Directories, and transports that harm them, or harm files by them."""

import shutil

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder, path_of
from resto.testing import TransportContract
from resto.testing.transport_contract.directories import Directories


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


@breaks("test_directory_is_never_harmed")
class ReplacesDirectories(Folder):
    def create(self, host, name, content):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().create(host, name, content)


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
