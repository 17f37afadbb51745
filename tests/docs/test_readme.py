"""What the first pages promise to their readers. That their blocks work is tested with those of the other pages."""

import re
import tomllib

import pytest

from kit.documents import PAGES, ROOT, read_blocks, without_blocks, words
from resto import __version__, offers, plugins


README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_first_command_comes_at_once():
    before, command, _ = README.read_text().partition("\n$ ")
    assert command
    assert len(words(before.replace("```console", ""))) < 60


def test_first_commands_show_the_main_job_and_pass_the_tests():
    commands = re.findall(r"^\$ (.+)$", README.read_text(), re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]


def test_first_settings_are_complete():
    settings = next(block.text for block in read_blocks(README) if block.language == "python")
    for name in ("MEDIA_ROOT", "MEDIA_URL", "STORAGES", "RESTO_SECRETS", "INSTALLED_APPS"):
        assert re.search(f"^{name} [+]?= ", settings, re.MULTILINE)


def test_what_first_settings_need_stands_below_them():
    _, _, after = README.read_text().partition("INSTALLED_APPS += ")
    needed, _, _ = after.partition("```python")
    for name in ("`MEDIA_1_PASSWORD`", "`MEDIA_2_PASSWORD`", "`manage.py migrate`", "`manage.py check`"):
        assert name in needed


@pytest.mark.parametrize("kind", [offers.TRANSPORT, offers.EXECUTOR], ids=lambda kind: kind.noun)
def test_bundled_plugins_are_those_named(kind):
    manager = plugins.create_plugin_manager(load_installed=False)
    table = re.search(rf"^\| {kind.noun} \|(.*?)^$", README.read_text(), re.MULTILINE | re.DOTALL)[1]
    assert set(re.findall(r'^\| `"(\w+)"`', table, re.MULTILINE)) == set(manager.offers(kind))


def test_readme_is_short():
    assert len(words(README.read_text())) < 900


def test_licence_is_that_of_the_project():
    assert f"[{PROJECT['license']}](LICENSE)" in README.read_text()


def test_changelog_begins_with_this_version():
    headings = re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert headings[0] == __version__


def test_changelog_has_the_usual_form():
    """That of Keep a Changelog."""
    kinds = re.findall(r"^### (.+)", CHANGELOG, re.MULTILINE)
    assert {*kinds} <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert all(lines.startswith("\n- ") for lines in re.split(r"^### .+\n", CHANGELOG, flags=re.MULTILINE)[1:])


def test_contributing_is_short():
    assert len(words(CONTRIBUTING.read_text())) < 500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_superlatives(page):
    praise = r"\b(?:blazing\w*|seamless\w*|powerful|robust|effortless\w*|simply|awesome|amazing|best-in-class)\b"
    assert not re.search(praise, without_blocks(page), re.IGNORECASE)
