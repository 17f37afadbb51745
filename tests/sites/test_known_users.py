"""Packages that use storages, over each of resto's: their real code, in processes of their own, and media servers."""

import json
import re
import tomllib

import pytest

from kit import forks
from kit.documents import ROOT
from kit.servers import clean_environment
from sites.workshop.site import files_below, held


PAGE = (ROOT / "docs" / "known-users.md").read_text()
PACKAGES = re.findall(r"^\| \[([\w-]+)\]", PAGE, re.MULTILINE)
STORAGES = (
    "HybridStorage",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("AsyncStorage", "DistributedStorage")),
)
PATIENCE = 300  # seconds; a busy machine needs a few


def settings_for(package):
    """The settings that the page asks for."""
    section = re.search(rf"^## {package}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    (block,) = re.findall("^```python$(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def run_site(tmp_path):
    """A function that runs a site with one package, and its work."""

    def run(package, storage, hosts, transport="http"):
        folder = tmp_path / "site"
        folder.mkdir()
        config = {
            "folder": str(folder),
            "module": f"with_{package.lower().replace('-', '_')}",
            "settings": settings_for(package),
            "storage": storage,
            "options": {} if package == "django-filer" else {"hosts": hosts},
            "hosts": hosts,
            "transport": transport,
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        environment = clean_environment() | {
            "PYTHONPATH": str(forks.TESTS),
            "DJANGO_SETTINGS_MODULE": "sites.known_users.settings",
            "KNOWN_USERS_CONFIG": str(tmp_path / "config.json"),
        }
        status, printed = forks.run(["-m", "sites.known_users.run"], folder, environment, PATIENCE)
        assert status == 0, printed
        assert not re.search("Traceback|Failed to", printed), printed

    return run


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("package", PACKAGES)
def test_package_does_its_work(package, storage, run_site, resto_server_factory):
    servers = [resto_server_factory(webdav=False) for _ in range(2)]
    run_site(package, storage, [server.url for server in servers])
    assert any(method == "DELETE" and status == 204 for method, _, status in servers[0].log)
    assert [held(server) for server in servers] == [{}, {}]


@pytest.mark.parametrize("package", ["sorl-thumbnail", "django-filer"])
def test_package_that_lists_directories(package, run_site, media_servers):
    """Without a master copy, hosts are asked what they have."""
    hosts, folders = zip(*[media_servers(kind).new_folder() for kind in ("nginx-dav", "apache")], strict=True)
    run_site(package, "DistributedStorage", hosts, "webdav")
    assert [files_below(folder) for folder in folders] == [{}, {}]


def test_versions_are_those_that_are_installed():
    rows = re.findall(r"^\| \[([\w-]+)\]\([^)]*\) \| ([\d.]+) \|", PAGE, re.MULTILINE)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert sorted(f"{package.lower()}>={version}" for package, version in rows) == groups["users"]
