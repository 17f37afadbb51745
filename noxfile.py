"""What CI runs, for a laptop: ``nox`` for all of it, ``nox -s lint`` for one part."""

import nox


nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
DJANGOS = ["5.2", "6.0", "6.1"]
MATRIX = [(python, django) for django in DJANGOS for python in PYTHONS if python != "3.11" or django == "5.2"]


def install(session: nox.Session, *groups: str, editable: bool = True) -> None:
    """Install the checkout, and what the dependency groups name."""
    requirements = [line for group in groups for line in nox.project.dependency_groups(PROJECT, group)]
    session.install(*(["--editable"] if editable else []), ".", *requirements)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and floors."""
    install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")
    session.run("python", "scripts/draw-floors", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    install(session, "types")
    session.run("mypy")


@nox.session
@nox.parametrize(("python", "django"), MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run the suite on the built wheel, for each Python and Django."""
    install(session, "test", editable=False)
    session.install(f"Django~={django}.0")
    session.run(
        "pytest", "--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder", *session.posargs
    )  # not "python -m pytest", which would find the checkout
