"""What CI runs, for a laptop: ``nox`` for all of it, ``nox -s lint`` for one part."""

import os

import nox


nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
DJANGOS = ["5.2", "6.0", "6.1"]
MATRIX = [(python, django) for django in DJANGOS for python in PYTHONS if python != "3.11" or django == "5.2"]


# What is tested: a wheel that was built before, or one that is built of the checkout.
WHEEL = os.environ.get("RESTO_WHEEL", ".")


def requirements(*groups: str) -> list[str]:
    """Return what the dependency groups name."""
    return [line for group in groups for line in nox.project.dependency_groups(PROJECT, group)]


def lowest(requirement: str) -> str:
    """Return a requirement of the lowest version that one allows."""
    return requirement.replace(">=", "==").replace(";", " ;")


def run_suite(session: nox.Session, *options: str) -> None:
    """Run all tests on what is installed: not by "python -m pytest", which would find the checkout."""
    session.run("pytest", "--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder", *options)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and floors."""
    session.install("--editable", ".", *requirements("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")
    session.run("python", "scripts/draw-floors", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    session.install("--editable", ".", *requirements("types"))
    session.run("mypy")


@nox.session
@nox.parametrize(("python", "django"), MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run the suite on the built wheel, for each Python and Django."""
    session.install(WHEEL, *requirements("test"))
    session.install(f"Django~={django}.0")
    run_suite(session, *session.posargs)


@nox.session(name="lowest", python="3.11", default=False)
def lowest_versions(session: nox.Session) -> None:
    """Run the suite with the lowest versions of all that resto needs, or works with."""
    project = PROJECT["project"]
    needed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    session.install(WHEEL, *requirements("test"))
    session.install(*map(lowest, needed), "psycopg[binary,pool]==3.2.*")
    run_suite(session, *session.posargs)


@nox.session(name="main", python="3.14", default=False)
def django_main(session: nox.Session) -> None:
    """Run the suite with the Django of tomorrow."""
    session.install(WHEEL, *requirements("test"))
    session.install("https://github.com/django/django/archive/main.tar.gz")
    run_suite(session, *session.posargs)


@nox.session(name="free-threaded", python="3.14t", default=False)
def free_threaded(session: nox.Session) -> None:
    """Run what needs no other packages than resto does, on a Python without a global lock."""
    session.install(
        f"{WHEEL}[testing]", "freezegun", "pytest-django", "pytest-randomly", "pytest-timeout", "pytest-xdist"
    )
    run_suite(session, "tests/executors", "tests/laws", "tests/storage", *session.posargs)
