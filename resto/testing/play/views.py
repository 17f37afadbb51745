"""What the pages show, and what their buttons do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_POST, require_safe

from resto.exceptions import ReplicationError
from resto.forms import saving
from resto.testing.play.apps import current_scene
from resto.testing.play.forms import UploadForm
from resto.testing.play.look import look
from resto.testing.play.models import Upload
from resto.testing.play.storage import SwitchedStorage


if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


@require_safe
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Log in whoever has the address that was printed."""
    if not constant_time_compare(token, current_scene().token):
        return redirect("closed")
    user, _ = User.objects.get_or_create(username="you", defaults={"is_staff": True, "is_superuser": True})
    login(request, user)
    return redirect("page")


@require_safe
def show_closed(request: HttpRequest) -> HttpResponse:
    """Say how to come in."""
    return render(request, "play/closed.html", status=403)


# Nobody sees a page, or pushes a button, who has not come by the address that was printed.
for_visitors = login_required(login_url="closed", redirect_field_name=None)


@for_visitors
def show_page(request: HttpRequest) -> HttpResponse:
    """Show all, and take uploads."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        with saving(form):
            upload = form.save()
            messages.success(request, f"{upload} is saved.")
            return redirect("page")
    return render(request, "play/page.html", {"form": form, **_seen()})


@require_safe
@for_visitors
def show_state(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself."""
    return render(request, "play/state.html", _seen())


@require_safe
@for_visitors
def show_file(request: HttpRequest, name: str) -> HttpResponse:
    """Send a visitor to a host, as a load balancer would."""
    for host in current_scene().hosts:
        if host.state == "running":
            return redirect(host.url + request.path.partition("/media/")[2])
    raise Http404("no host runs")


@require_POST
@for_visitors
def act(request: HttpRequest) -> HttpResponse:
    """Do what a button says: a verb, and what it is about."""
    verb, _, what = request.POST.get("do", "").partition(" ")
    action = _ACTIONS.get(verb)
    if action is None:
        raise Http404("no such button")
    action(request, what)
    return redirect("page")


def _seen() -> dict[str, Any]:
    return {
        "seen": look(current_scene()),
        "is_strict": SwitchedStorage.is_strict,
        "uploads": Upload.objects.order_by("-pk"),
        "commands": COMMANDS,
    }


def _process(name: str) -> Any:
    try:
        return current_scene().processes[name]
    except KeyError:
        raise Http404("no such process") from None


def _start(request: HttpRequest, name: str) -> None:
    _process(name).start()


def _stop(request: HttpRequest, name: str) -> None:
    _process(name).stop()


def _freeze(request: HttpRequest, name: str) -> None:
    _process(name).freeze()


def _wipe(request: HttpRequest, name: str) -> None:
    _host(name).wipe()


def _adopt(request: HttpRequest, name: str) -> None:
    current_scene().manage("resto_adopt", "--host", _host(name).url, "--no-input")
    current_scene().manage("resto_sync")


def _host(name: str) -> Any:
    for host in current_scene().hosts:
        if host.name == name:
            return host
    raise Http404("no such host")


def _delete(request: HttpRequest, key: str) -> None:
    for upload in Upload.objects.filter(pk=key if key.isdecimal() else None):
        name = str(upload)
        try:
            upload.file.delete(save=False)
        except ReplicationError as error:
            messages.error(request, f"{error}.")
        else:
            messages.success(request, f"{name} is deleted.")
        upload.delete()


def _switch(request: HttpRequest, value: str) -> None:
    SwitchedStorage.is_strict = value == "on"


# What may be run by clicking, as it is typed.
COMMANDS = ("resto_status", "resto_drain --now", "resto_sync")


def _manage(request: HttpRequest, command: str) -> None:
    if command not in COMMANDS:
        raise Http404("no such command")
    current_scene().manage(*command.split())


_ACTIONS: dict[str, Callable[[HttpRequest, str], None]] = {
    "start": _start,
    "stop": _stop,
    "freeze": _freeze,
    "wipe": _wipe,
    "adopt": _adopt,
    "delete": _delete,
    "switch": _switch,
    "manage": _manage,
}
