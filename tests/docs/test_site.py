"""The site of the documentation is complete, its links lead somewhere, and the pages need no site to be read."""

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest

from kit import public
from kit.documents import ROOT, without_blocks, words


DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md") if page.name != "README.md")
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))


def page_id(page):
    return page.name


# Without a site.


def test_each_page_is_in_the_navigation_once():
    """Which is made of the first cells of the tables."""
    rows = re.findall(r"^\| (.*?) \| ", (DOCS / "README.md").read_text(), re.MULTILINE)
    links = Counter(link for cell in rows for link in re.findall(r"\]\(([^)#]+)\)", cell))
    assert {page.name: links[page.name] for page in PAGES} == {page.name: 1 for page in PAGES}
    assert {*links.values()} == {1}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_is_plain_markdown(page):
    """What only MyST knows is shown as it is typed by the forge."""
    assert not re.search(r"^ *(```|:::)\{|\{[\w:-]+\}`|^\(\S+\)=$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "reference.md"], ids=page_id)
def test_page_can_be_read_in_one_go(page):
    assert len(words(page.read_text())) <= 1_500


@pytest.mark.parametrize("picture", PICTURES, ids=page_id)
def test_picture_is_for_all(picture):
    """It says in words what it shows, in itself and where it is shown, and has two themes."""
    drawn = ElementTree.parse(picture).getroot()
    named = drawn.get("aria-labelledby").split()
    assert all(drawn.find(f".//*[@id='{name}']").text for name in named)
    assert "prefers-color-scheme: dark" in picture.read_text()
    shown = [
        re.search(rf"!\[(.+)\]\(\S*{picture.name}\)", without_blocks(page)) for page in [*PAGES, ROOT / "README.md"]
    ]
    assert all(len(image[1].split()) > 10 for image in shown if image)
    assert any(shown)


# The site itself. `make docs` builds it as well.


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the site as they were read, by their paths."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "docs", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return {path: Read(path.read_text()) for path in folder.rglob("*.html")}


class Read(HTMLParser):
    """A page that was read: its ids, its links, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.text, self.ids, self.links, self.loaded = text, set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found or (tag == "link" and "href" in found):
            self.loaded.append(found.get("src") or found["href"])


@pytest.mark.long
def test_site_is_built(site):
    names = {path.name for path in site}
    assert names >= {page.with_suffix(".html").name for page in PAGES}
    assert all(str(ROOT) not in page.text for page in site.values())


@pytest.mark.long
def test_links_of_the_site_lead_somewhere(site):
    broken = [(path.name, link) for path, page in site.items() for link in page.links if not leads(site, path, link)]
    assert broken == []


@pytest.mark.long
def test_site_loads_nothing_from_elsewhere(site):
    loaded = {(path, link) for path, page in site.items() for link in page.loaded if not link.startswith("data:")}
    assert [link for path, link in loaded if not (path.parent / urlsplit(link).path).exists()] == []


@pytest.mark.long
def test_public_names_are_on_the_site(site):
    assert public.PATHS.keys() <= {name for page in site.values() for name in page.ids}


def leads(site, path, link):
    """Tell whether there is what a link of a page leads to."""
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme in ("http", "https")
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in site:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in site[target].ids
