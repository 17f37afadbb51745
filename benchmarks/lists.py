"""How long it takes to look at a long backlog in the admin."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.test import RequestFactory, override_settings
from django.urls import path

from benchmarks.backlog import FULL, databases
from benchmarks.record import recorded
from benchmarks.results import Row
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn


__all__ = ["measure"]

QUERIES = {
    "list of pending names": {},
    "names that begin so": {"q": "^backlog/77"},
    "names with a part that none has": {"q": "nothing"},
    "names older than 30 minutes, with an error": {"for": "600", "error": "any"},
}

# Rows that can be leafed through, and those of a page.
MOST, ROWS = 10_000, 100

_APPS = ("admin", "auth", "contenttypes", "messages", "sessions")


def measure(sizes: Sizes) -> list[Row]:
    """Open the list, leaf through it, filter and search."""
    with databases(sizes.pending) as (_, aliases), _admin() as view:
        rows, last = [], min(sizes.pending, MOST) // ROWS
        for work, query in {**QUERIES, "its last page": {"p": str(last)}}.items():
            calls = {
                alias: recorded(alias, lambda query=query: view(query)) for alias in aliases if alias.endswith(FULL)
            }
            rows += in_turn(work, calls, sizes.rounds)
        return rows


@contextmanager
def _admin() -> Iterator[Callable[[dict[str, str]], object]]:
    """Have an admin; yield what opens the list of pending names."""
    context = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    context += ["django.contrib.messages.context_processors.messages"]
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    settings: dict[str, Any] = {
        "INSTALLED_APPS": [*(f"django.contrib.{name}" for name in _APPS), "resto"],
        "TEMPLATES": [{**engine, "OPTIONS": {"context_processors": context}}],
        "STATIC_URL": "/static/",
    }
    with override_settings(**settings):
        from django.contrib import admin
        from django.contrib.auth.models import User

        from resto.models import Pending

        user = User(username="ann", is_active=True, is_staff=True, is_superuser=True)
        pages = admin.site.get_model_admin(Pending)

        def view(query: dict[str, str]) -> None:
            request = RequestFactory().get("/", query)
            request.user = user
            assert pages.changelist_view(request).render().status_code == 200

        with override_settings(ROOT_URLCONF=(path("admin/", admin.site.urls),)):
            yield view
