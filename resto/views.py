"""Pages for machines: whether a process lives, whether it can save files, how the site is, and metrics. See `resto.urls`."""

from collections.abc import Callable
from contextlib import suppress

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from resto.exceptions import ConfigurationError
from resto.metrics import exposed
from resto.metrics.access import shows_token
from resto.repair.overview import master_problems, overview, reason_not_to_be_ready, record_problem, unusable


__all__ = ["live", "metrics", "ready", "status"]

View = Callable[[HttpRequest], HttpResponse]

_PLAIN = "text/plain; charset=utf-8"


def _for_machines(view: View) -> View:
    """Return a view that needs nobody to sign in, and no database that works."""
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return login_not_required(never_cache(require_safe(view)))


@_for_machines
def live(request: HttpRequest) -> HttpResponse:
    """Say that this process answers."""
    return HttpResponse("live\n", content_type=_PLAIN)


@_for_machines
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether files can be saved here: the record answers, and the directory proves to be the master copy."""
    reason = reason_not_to_be_ready()
    return HttpResponse(f"{reason or 'ready'}\n", content_type=_PLAIN, status=503 if reason else 200)


@_for_machines
def metrics(request: HttpRequest) -> HttpResponse:
    """Show metrics to whoever has the token, and to staff."""
    if not _is_allowed(request):
        return _refusal()
    try:
        content, content_type = exposed(request.headers.get("Accept", ""))
    except ConfigurationError as error:
        return HttpResponse(f"{error}\n", content_type=_PLAIN, status=501)
    return HttpResponse(content, content_type=content_type)


@_for_machines
def status(request: HttpRequest) -> HttpResponse:
    """Show how the site is, in JSON, to whoever has the token, and to staff. No host is asked."""
    if not _is_allowed(request):
        return _refusal()
    try:
        problem, storages = "", [one.as_dict() for one in overview()]
    except Exception as error:  # noqa: BLE001 - whatever a database or its driver raises: that is what is to be shown
        problem, storages = record_problem() or str(error) or "it has not answered in time", []
    wrong = unusable()
    masters = {alias: text for alias, text in master_problems().items() if alias not in {one.alias for one in wrong}}
    found = {
        "ready": not reason_not_to_be_ready(),
        "settings": [{"setting": one.what, "problem": one.sentence} for one in wrong],
        "record": {"problem": problem},
        "master_copies": [{"storage": alias, "problem": text} for alias, text in masters.items()],
        "storages": storages,
    }
    return JsonResponse(found)


def _is_allowed(request: HttpRequest) -> bool:
    if shows_token(request.headers.get("Authorization", "")):
        return True
    user = getattr(request, "user", None)
    with suppress(DatabaseError):  # nobody knows who that is
        return user is not None and user.is_active and user.is_staff
    return False


def _refusal() -> HttpResponse:
    text = "Sign in as a member of staff, or show the token of the site: Authorization: Bearer ...\n"
    return HttpResponse(text, content_type=_PLAIN, status=401, headers={"WWW-Authenticate": "Bearer"})
