"""File systems that are mounted and unmounted, in a mount namespace of their own, which only Linux has."""

import json

import pytest

from kit.namespaces import UNSHARE, require_namespaces
from kit.processes import PATIENCE, start
from kit.record import files


SITE = """
import contextlib, io, json, os, subprocess
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.management import CommandError, call_command

found = {}

def mount(path):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)

def umount(path):
    subprocess.run(["umount", path], check=True)  # fails if anything in there is open

def save(name, content=None):
    try:
        return default_storage.save(name, content or ContentFile(name.encode()))
    except Exception as error:
        return str(error)

def run(command, *options):
    out = io.StringIO()
    with contextlib.suppress(CommandError):
        call_command(command, *options, stdout=out, stderr=out)
    return out.getvalue()

"""

BELOW = """
os.makedirs(f"{media}/d")
mount(f"{media}/d")
upload = TemporaryUploadedFile("a", "text/plain", 1, None)
upload.write(b"u")
upload.seek(0)
found["uploaded"] = save("d/upload", upload)
found["saved"] = save("d/a"), save("b")
umount(f"{media}/d")
found["refused"] = save("d/c")
found["elsewhere"] = save("c")
found["read"] = default_storage.open("d/a").read().decode()
found["sync"] = run("resto_sync", "--delete", "--force")
found["restored"] = run("resto_restore", "--no-input")
found["again"] = save("d/c")
print(json.dumps(found))
"""

WHOLE = """
os.makedirs(media)
mount(media)
found["saved"] = save("a")
umount(media)
found["unmounted"] = save("b")
mount(media)  # a new disk
found["new"] = save("a")
found["sync"] = run("resto_sync", "--delete", "--force")
found["drain"] = run("resto_drain")
found["restored"] = run("resto_restore", "--no-input")
found["again"] = save("b")
umount(media)
print(json.dumps(found))
"""


@pytest.fixture(scope="module", autouse=True)
def _namespaces(tmp_path_factory):
    require_namespaces(tmp_path_factory.mktemp("mount"))


@pytest.fixture
def play(resto_server, tmp_path):
    """A function that runs a program, and returns what it has found."""

    def play(program):
        process = start(SITE + program, resto_server.url, tmp_path / "media", within=UNSHARE)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return json.loads(out)

    return play


def test_file_system_below_that_is_not_mounted_is_missed(play, resto_server):
    found = play(BELOW)
    assert (found["uploaded"], found["saved"]) == ("d/upload", ["d/a", "b"])
    assert "media/d was another file system, and is none; is it mounted?" in found["refused"]
    assert (found["elsewhere"], found["read"]) == ("c", "d/a")
    assert "is it mounted?" in found["sync"]
    assert "2 restored" in found["restored"]
    assert found["again"] == "d/c"
    expected = {name: name.encode() for name in ("b", "c", "d/a", "d/c")} | {"d/upload": b"u"}
    assert files([resto_server]) == [expected]


def test_file_system_that_is_not_mounted_is_not_the_master_copy(play, resto_server):
    found = play(WHOLE)
    assert found["saved"] == "a"
    for refused in ("unmounted", "new", "sync", "drain"):
        assert "media is not the master copy: it has no file .resto.master" in found[refused]
    assert "1 restored" in found["restored"]
    assert found["again"] == "b"
    assert files([resto_server]) == [{"a": b"a", "b": b"b"}]
