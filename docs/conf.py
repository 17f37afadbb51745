"""Builds the site: the pages of this folder, a few that lie elsewhere in the project, and the public names out of the code.

Pages are plain Markdown, for the forge. What the site needs beside that is made here: its navigation is README.md of this folder.
"""

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util import inspect


FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
sys.path.insert(0, str(ROOT / "tests"))

settings.configure(
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "resto"],
    STATIC_ROOT="static",
)
django.setup()

import resto  # noqa: E402 - wants settings
from kit.public import CONSTANTS, PATHS, PUBLIC  # noqa: E402 - so does what it names


project = "resto"
author = "the resto authors"
version = release = resto.__version__

source_suffix = {".md": "markdown", ".page": "markdown", ".rst": "restructuredtext"}
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]  # is shown in the place of index.page
nitpicky = True
# What is not resto's is documented elsewhere, and what is not public nowhere. No other site is asked while this one is built.
nitpick_ignore_regex = [("py:.*", rf"(?!({'|'.join(map(re.escape, PATHS))})$).*")]

html_theme = "furo"
html_title = f"resto {version}"
pygments_dark_style = "github-dark"
html_static_path = ["site/css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

myst_heading_anchors = 4

default_role = "code"
napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80


# Links. A file whose name ends in .page names a page that lies elsewhere, and is shown in its place.

# The page that is shown -> the file that names it.
ELSEWHERE = {(file.parent / file.read_text().strip()).resolve(): file for file in FOLDER.glob("**/*.page")}
LINKED = re.compile(
    r"(?P<block>^ *```.*?^ *```$)"
    r'|<picture>.*?srcset="(?P<dark>[^"]+)".*?alt="(?P<alt>[^"]+)".*?src="(?P<light>[^"]+)".*?</picture>'
    r"|\[(?P<text>[^\]]*)\]\((?P<path>[^):#\s]+)(?P<anchor>#[^)]*)?\)",
    re.MULTILINE | re.DOTALL,
)


def as_on_the_site(text: str, page: Path, place: str) -> str:
    """Return the Markdown of a page with the links, and the pictures of two themes, that it has on the site.

    Args:
        text: Of the page.
        page: Where it lies.
        place: The name of the document on the site.
    """

    def changed(match: re.Match[str]) -> str:
        if match["block"]:
            return match[0]
        if match["light"]:
            return "\n".join(two_pictures(match["alt"], match["light"], match["dark"]))
        target = (page.parent / match["path"]).resolve()
        if target.is_dir():  # a site has none to show
            return match["text"]
        to = os.path.relpath(ELSEWHERE.get(target, target), (FOLDER / place).parent)
        return f"[{match['text']}]({to}{match['anchor'] or ''})"

    return LINKED.sub(changed, text)


def two_pictures(alt: str, light: str, dark: str) -> list[str]:
    """Return the lines that show one picture in the light theme, and one in the dark."""
    lines = []
    for theme, picture in (("light", light), ("dark", dark)):
        lines += [f"```{{image}} {picture}", f":alt: {alt}", f":class: only-{theme}", "```"]
    return lines


# The navigation: each section of README.md is a part of it, and what the first cells of its table link to are the pages.


def with_navigation(text: str) -> str:
    """Return the text of README.md, as it is on the site, with the navigation."""
    head, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return "".join([head, *map(with_pages, sections)])


def with_pages(section: str) -> str:
    """Return a section with its part of the navigation."""
    cells = [line.partition(" | ")[0] for line in section.splitlines() if line.startswith("|")]
    pages = [page for cell in cells for page in re.findall(r"\[([^\]]+)\]\(([^)#]+)\.(\w+)\)", cell)]
    # What lies elsewhere has a title for readers of the forge, such as another "Security".
    entries = [f"{title[0].upper()}{title[1:]} <{page}>" if kind == "page" else page for title, page, kind in pages]
    if "reference" in entries:
        entries += [f"site/public-for-{audience}" for audience in PUBLIC]
    caption = section.splitlines()[0].removeprefix("## ")
    return "\n".join([section, "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", "", ""])


# The public names.

SHORT = {path.rpartition(".")[2]: path for path in PATHS}
NAMED = re.compile(rf"(?<!`)`({'|'.join(SHORT)})`(?!`)")


def public_names(audience: str) -> str:
    """Return the directives that document what is public for an audience."""
    lines = []
    for module, names in PUBLIC[audience].items():
        lines += [module, "-" * len(module), ""]
        for name in names:
            lines += [*directive(f"{module}.{name}"), ""]
    return "\n".join(lines)


def directive(path: str) -> list[str]:
    """Return the directive that documents a public name."""
    if path in CONSTANTS:
        return [f".. py:data:: {path}", "", f"   {CONSTANTS[path]}"]
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, type):
        return [f".. autofunction:: {path}"]
    lines = [f".. autoclass:: {path}", "   :members:"]
    if any(map(is_private, found.__mro__)):
        # What a public class has from one that is not public is its own; what it has from others is said there.
        others = [base.__name__ for base in found.__mro__[1:] if not is_private(base)]
        lines.append(f"   :inherited-members: {', '.join(others)}")
    return lines


def is_private(base: type) -> bool:
    """Tell whether a class is of resto, and not public."""
    public = any(base.__name__ in names for modules in PUBLIC.values() for names in modules.values())
    return base.__module__.partition(".")[0] == "resto" and not public


# What Sphinx calls.


def read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    """Change a page of the site before it is parsed."""
    file = Path(app.env.doc2path(docname))
    if docname.startswith("site/public-for-"):
        content[0] += f"\n{public_names(docname.rpartition('-')[2])}"
    elif file.suffix != ".rst":
        page = (file.parent / content[0].strip()).resolve() if file.suffix == ".page" else file
        content[0] = as_on_the_site(page.read_text(), page, docname)
    if docname == "index":
        content[0] = with_navigation(content[0])


def read_docstring(_app: Sphinx, kind: str, _name: str, _found: object, _options: object, lines: list[str]) -> None:
    """Link public names, and let no colon make a type of the first words about an attribute."""
    lines[:] = [NAMED.sub(lambda match: f":py:obj:`{match[1]} <{SHORT[match[1]]}>`", line) for line in lines]
    if kind in ("property", "attribute", "data") and lines:
        lines[0] = f": {lines[0]}"


def read_signature(
    _app: Sphinx, kind: str, _name: str, found: Any, _options: object, told: str, _returned: str
) -> tuple[str, str] | None:
    """Return the arguments of a class whose `__new__` takes any, as Django's `deconstructible` makes it."""
    if kind != "class" or told != "(*args, **kwargs)":
        return None
    signature = inspect.signature(found.__init__, bound_method=True)
    return inspect.stringify_signature(signature, show_return_annotation=False, unqualified_typehints=True), ""


def setup(app: Sphinx) -> None:
    """Let Sphinx call what is here."""
    app.add_lexer("crontab", TextLexer)
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", read_signature)
