"""The page of hosts, which stands where the admin has the list of what is known of them."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST, require_safe

from resto.counts import counted
from resto.exceptions import ConfigurationError
from resto.names import shown
from resto.page.asking import WrongWishError, ask, resting, wanted
from resto.page.commands import commands_for
from resto.page.looks import look
from resto.page.now import now
from resto.page.one_file import find_file
from resto.page.record_admin import MAY_MAKE_DUE, MOST, RecordAdmin
from resto.record.chosen import make_due
from resto.record.runs import watching
from resto.storage.finding import replicated_aliases
from resto.words.working import HOW_TO_WATCH


__all__ = ["HostAdmin"]

# Who may ask for something: whoever may add a run.
_MAY_ASK = "resto.add_run"

# Seconds after which the page shows what has changed.
REFRESH = 3


class HostAdmin(RecordAdmin):
    """Shows how hosts are, and takes what staff ask for. Rows are shown to nobody: they say what hosts and directories prove."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages."""
        guarded = self.admin_site.admin_view
        return [
            path("", guarded(self.changelist_view), name="resto_host_changelist"),
            path("ask/", guarded(self.ask_view), name="resto_host_ask"),
            path("due/", guarded(self.due_view), name="resto_host_due"),
            path("file/", guarded(self.file_view), name="resto_host_file"),
        ]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the page."""
        self._require_view(request)
        looks = look()
        found = now(looks)
        machines = sorted({run.machine for run in found.processes})
        context = {
            "title": "Media hosts",
            "now": found,
            "typed": [one for each in looks.looks for one in commands_for(each, machines)],
            "aliases": replicated_aliases(),
            "refresh": REFRESH,
            "how_to_watch": HOW_TO_WATCH,
            **self._links(request),
            **(extra_context or {}),
        }
        return self._shown(request, "change_list", context)

    @method_decorator(require_safe)
    def file_view(self, request: HttpRequest) -> HttpResponse:
        """Show where a file is."""
        self._require_view(request)
        aliases = replicated_aliases()
        name, alias = request.GET.get("name", ""), request.GET.get("storage", "")
        alias = alias if alias in aliases else next(iter(aliases), "")
        context = {
            "title": "Where is a file",
            "aliases": aliases,
            "alias": alias,
            "name": name,
            "file": find_file(alias, name) if name and alias else None,
            **self._links(request),
        }
        return self._shown(request, "file", context)

    @method_decorator(require_POST)
    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """Take what somebody asks for, and show the page that it was asked for on."""
        self._require_view(request)
        if not request.user.has_perm(_MAY_ASK):
            raise PermissionDenied
        try:
            wish = wanted(request.POST)
            ask(wish, request.user.get_username())
        except WrongWishError as error:
            messages.error(request, str(error))
        except (DatabaseError, ConfigurationError) as error:
            messages.error(request, f"The record cannot be used: {error}")
        else:
            told = f"Asked for: {wish.told}."
            if any(run.is_about(wish.storage) for run in watching()):
                messages.success(request, told)
            else:
                messages.warning(
                    request, f"{told} No process watches the record, so that nobody begins: {HOW_TO_WATCH}."
                )
        return HttpResponseRedirect(self._back(request))

    @method_decorator(require_POST)
    def due_view(self, request: HttpRequest) -> HttpResponse:
        """Make due what rests of a host, at once: for that no process has to watch."""
        self._require_view(request)
        if not request.user.has_perm(MAY_MAKE_DUE):
            raise PermissionDenied
        try:
            storage, host = resting(request.POST)
            number = make_due([storage], [host], MOST)
        except WrongWishError as error:
            messages.error(request, str(error))
        except (DatabaseError, ConfigurationError) as error:
            messages.error(request, f"The record cannot be used: {error}")
        else:
            messages.success(request, shown(_told_of_due(number, host)))
        return HttpResponseRedirect(self._back(request))

    def _back(self, request: HttpRequest) -> str:
        name = request.POST.get("name")
        if not name:
            return self._url("host_changelist")
        query = urlencode({"storage": request.POST.get("storage", ""), "name": name})
        return f"{self._url('host_file')}?{query}"

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _url(self, name: str) -> str:
        return reverse(f"admin:resto_{name}", current_app=self.admin_site.name)

    def _links(self, request: HttpRequest) -> dict[str, Any]:
        """Return where pages lead to, as far as somebody may go there."""
        may = request.user.has_perm
        return {
            "may_ask": may(_MAY_ASK),
            "may_make_due": may(MAY_MAKE_DUE),
            "hosts_url": self._url("host_changelist"),
            "ask_url": self._url("host_ask"),
            "due_url": self._url("host_due"),
            "file_url": self._url("host_file"),
            "pending_url": self._url("pending_changelist") if may("resto.view_pending") else "",
            "runs_url": self._url("run_changelist") if may("resto.view_run") else "",
        }

    def _shown(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/resto/host/{template}.html", context)


def _told_of_due(number: int, host: str) -> str:
    if not number:
        return f"Nothing rests for {host}: it is due already, or a request may still arrive."
    more = " There may be more; ask again." if number >= MOST else ""
    return f"{counted(number, 'name')} made due for {host}: the next drain sends that.{more}"
