"""The reference is that of the code, and what is public is listed, documented, exported and typed."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest
from django.core.management import BaseCommand, load_command_class
from django.utils.module_loading import import_string

from kit import public
from kit.documents import PAGES, ROOT, read_blocks, without_blocks
from kit.reference import require_part, write_table
from resto import hookspecs
from resto.executors.queue import Message


COMMANDS = {
    "resto_drain": "resto",
    "resto_sync": "resto",
    "resto_restore": "resto",
    "resto_status": "resto",
    "resto_adopt": "resto",
    "resto_forget": "resto",
    "resto_plugins": "resto",
    "collectstatic": "resto.staticfiles",
}

COMPATIBILITY = (ROOT / "docs" / "compatibility.md").read_text()

# What messages in queues name, and schedules that send them.
MESSAGES = {
    "resto.drain",
    "resto.sync",
    "resto.workers.rq.drain",
    "resto.workers.rq.replicate",
    "resto.workers.rq.sync",
    "resto.tasks",
    "resto.replicate",
    "resto.workers.django_tasks.replicate",
}

# Where that is which a site may put into a queue or a cache.
SITES = tuple(f"{module}." for module in public.PUBLIC["sites"] if module != "resto")

HOOKS = [name for name in hookspecs.__all__ if name.startswith("resto_")]


def found(path):
    module, name = public.PATHS[path]
    return getattr(importlib.import_module(module), name)


def in_markdown(text):
    """Return text of a docstring in one line, with its code marked as in Markdown."""
    return " ".join(text.replace("``", "`").split())


# What is public.


@pytest.mark.parametrize("audience", public.PUBLIC)
def test_public_names_are_those_of_the_page(audience):
    paths = [f"{module}.{name}" for module, names in public.PUBLIC[audience].items() for name in names]
    rows = [[f"`{path}{parameters(path)}`", first_line(path)] for path in paths]
    require_part(f"for {audience}", write_table(["name", ""], rows))


def parameters(path):
    """Return the parameters of a function, without what else is told of them."""
    if not inspect.isfunction(inspect.unwrap(found(path))):
        return ""
    told = inspect.signature(found(path)).parameters.values()
    return str(inspect.Signature([one.replace(annotation=one.empty, default=one.empty) for one in told]))


def first_line(path):
    return public.CONSTANTS.get(path) or in_markdown(inspect.getdoc(found(path)).partition("\n\n")[0])


@pytest.mark.parametrize("path", public.PATHS)
def test_public_name_is_exported(path):
    module, name = public.PATHS[path]
    assert name in importlib.import_module(module).__all__


@pytest.mark.parametrize("path", sorted(public.PATHS.keys() - public.CONSTANTS.keys()))
def test_public_name_has_a_docstring(path):
    assert found(path).__doc__


@pytest.mark.parametrize("path", [path for path in public.PATHS if path.startswith(SITES)])
def test_pickle_names_a_public_path(path):
    """It may wait for longer than a version lasts."""
    value = found(path)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert f"{value.__module__}.{value.__qualname__}" == path


def test_public_names_are_typed():
    """Mypy reads examples of all of them."""
    assert {*imported((ROOT / "tests" / "typing_api.py").read_text())} >= {*public.PATHS}


def sources():
    """The code of the pages, and that of the package with plugins."""
    for page in PAGES:
        for block in read_blocks(page):
            if block.language == "python":
                yield pytest.param(block.text, id=f"{page.relative_to(ROOT)}:{block.line}")
    for path in sorted((ROOT / "plugins_example").rglob("*.py")):
        yield pytest.param(path.read_text(), id=str(path.relative_to(ROOT)))


def imported(text):
    """Yield what a module imports of resto, or names in a string, with dots."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "resto":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "resto")
        elif isinstance(node, ast.Constant) and re.fullmatch(r"resto(?!\.[EW]\d)(\.\w+)+", str(node.value)):
            yield node.value


@pytest.mark.parametrize("text", [*sources()])
def test_what_others_import_is_public(text):
    assert {*imported(text)} <= {*public.PATHS, *public.MODULES, *MESSAGES}


CHANGELOG = ROOT / "CHANGELOG.md"
NAMING_WHAT_IS_GONE = [CHANGELOG, ROOT / "docs" / "from-0-1-to-0-2.md"]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in NAMING_WHAT_IS_GONE], ids=lambda page: str(page.relative_to(ROOT))
)
def test_what_pages_name_is_public(page):
    for path in re.findall(r"`(resto\.[\w.]+)", without_blocks(page)):
        known = path in public.MODULES or any(f"{path}.".startswith(f"{name}.") for name in public.PATHS)
        assert known or path in MESSAGES or re.fullmatch(r"resto\.[EW]\d{3}", path), path


def test_changelog_says_where_modules_have_moved():
    moved = dict(re.findall(r"\| `(resto\.\w+)` \| `(resto\.[\w.]+)` \|", CHANGELOG.read_text()))
    assert {*moved.values()} <= public.MODULES
    assert not {*moved} & public.MODULES


def test_changelog_says_where_names_have_moved():
    """Those of a module that is still there."""
    moved = dict(re.findall(r"\| `(resto\.\w+\.[\w.]+)[^`]*` \| `(resto\.[\w.]+)[^`]*` \|", CHANGELOG.read_text()))
    assert {*moved.values()} <= {*public.PATHS, *public.MODULES}
    assert [path for path in moved if is_there(path)] == []


def is_there(path):
    try:
        pkgutil.resolve_name(path)
    except (AttributeError, ImportError):
        return False
    return True


def test_messages_name_what_is_there():
    """Those of an old site reach a new worker."""
    assert [path for path in MESSAGES if f"`{path}`" not in COMPATIBILITY] == []
    assert all(import_string(f"resto.workers.rq.{name}") for name in ("drain", "replicate", "sync"))
    assert [import_string(f"resto.tasks.{name}").name for name in ("drain", "sync")] == ["resto.drain", "resto.sync"]
    assert import_string("resto.tasks.replicate").name == "resto.replicate"
    assert import_string("resto.workers.django_tasks.replicate")


def test_keys_of_messages_are_told():
    assert "has [five keys](task-queues.md#what-travels)" in COMPATIBILITY
    assert len(Message.__annotations__) == 5
    for key in Message.__annotations__:
        assert f'"{key}": ' in (ROOT / "docs" / "task-queues.md").read_text()


# Hooks and commands.


def test_hooks_are_those_of_the_page():
    require_part("hooks", "\n\n".join(map(describe_hook, HOOKS)))


def describe_hook(name):
    hook = getattr(hookspecs, name)
    signature = re.sub(r"[\w.]+\.(?=[A-Z])", "", str(inspect.signature(hook)))
    paragraphs = [in_markdown(part) for part in inspect.getdoc(hook).split("\n\n")]
    return "\n\n".join([f"### {name}", f"`{name}{signature}`", *map(without_heading, paragraphs)])


def without_heading(paragraph):
    """Return a paragraph of a docstring without what is a heading there: arguments as a table."""
    heading, _, rest = paragraph.partition(": ")
    if heading == "Returns":
        return f"Returns {rest[0].lower()}{rest[1:]}"
    if heading != "Args":
        return paragraph
    arguments = re.findall(r"(\w+): (.+?\.)(?= \w+: |$)", rest)
    return write_table(["argument", ""], [[f"`{name}`", text] for name, text in arguments]).strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_that_of_the_page(name):
    command = load_command_class(COMMANDS[name], name)
    require_part(name, f"{in_markdown(command.help)}\n\n{options_table(command, name)}")


def test_no_command_is_left_out():
    assert {path.stem for path in (ROOT / "resto" / "management" / "commands").glob("resto_*.py")} <= COMMANDS.keys()


def options_table(command, name):
    general = {option for action in BaseCommand().create_parser("", name)._actions for option in action.option_strings}
    actions = [action for action in command.create_parser("", name)._actions if not general & {*action.option_strings}]
    return write_table(
        ["option", ""], [[spelling(action), in_markdown(action.help % vars(action))] for action in actions]
    )


def spelling(action):
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"`{', '.join(action.option_strings)}{value}`".replace("` ", "`")  # what has no option is its value alone
