"""The list of pending names."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import SimpleListFilter, action, display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from resto.counts import counted
from resto.models import Pending
from resto.names import shown
from resto.page.record_admin import MAY_MAKE_DUE, MOST, RecordAdmin
from resto.record import leases, rows
from resto.record.chosen import make_rows_due
from resto.record.database import connected
from resto.record.queries import is_under_way, rows_in
from resto.words.durations import duration


__all__ = ["PendingAdmin"]

# Rows of each host whose errors can be chosen, errors that can be, and characters of one that count.
_SAMPLE, _MOST_ERRORS, _LENGTH = 100, 10, 100

# Digits of an age in seconds; what has more is no age.
_MOST_DIGITS = 12


class HostFilter(SimpleListFilter):
    """By storage, or by storage and host: no others are offered than something is pending for."""

    title = "storage and host"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        pairs = rows.pairs()
        storages = sorted({storage for storage, _ in pairs})
        whole = [(f"{storage} ", f"{storage}, all hosts") for storage in storages if len(storages) > 1]
        return whole + [(f"{storage} {host}", f"{storage}, {host}") for storage, host in pairs]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of what was chosen."""
        if not self.value():
            return queryset
        storage, _, host = str(self.value()).rpartition(" ")  # no host has a space
        return queryset.filter(storage=storage, **({"host": host} if host else {}))


class AgeFilter(SimpleListFilter):
    """By how long ago the name was changed."""

    title = "pending for"
    parameter_name = "for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        return [(str(seconds), f"more than {duration(seconds)}") for seconds in (600, 7_200, 2 * 86_400, 7 * 86_400)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that are older."""
        value = str(self.value() or "")
        if not value.isdecimal() or len(value) > _MOST_DIGITS:
            return queryset
        return queryset.filter(created__lt=time.time() - int(value))


class ErrorFilter(SimpleListFilter):
    """By why it failed the last time: the errors of the newest rows of each host are offered."""

    title = "last error"
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        found = {error[:_LENGTH]: None for error in _recent_errors() if error}
        errors = [(f"={error}", shown(error)) for error in list(found)[:_MOST_ERRORS]]
        return [("any", "any"), ("none", "none"), *errors]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with this error, with any, or with none."""
        value = str(self.value() or "")
        if value.startswith("="):
            return queryset.filter(error__startswith=value[1:])
        conditions = {"any": ~Q(error=""), "none": Q(error="")}
        return queryset.filter(conditions[value]) if value in conditions else queryset


def _recent_errors() -> Iterator[str]:
    for storage, host in rows.pairs():
        with connected() as connection:
            mine = rows_in(connection).filter(storage=storage, host=host, created__gt=0)
            yield from mine.order_by("-created").values_list("error", flat=True)[:_SAMPLE]


class PendingAdmin(RecordAdmin):
    """Shows what hosts may have missed, host by host, the oldest first."""

    list_display = ("shown_name", "storage", "host", "since", "next_try", "attempts", "shown_error")
    list_display_links = None
    list_filter = (HostFilter, AgeFilter, ErrorFilter)
    search_fields = ("name",)
    search_help_text = "Part of a name; with ^ in front of it, how the name begins."
    ordering = ("storage", "host", "created", "pk")  # as an index has it
    actions = ("make_due",)

    def get_urls(self) -> list[URLPattern]:
        """Return the address of the list: there is nothing more to be seen of a row."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="resto_pending_changelist")]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows whose names have a text in them, or begin with it."""
        if search_term.startswith("^"):
            return queryset.filter(name__startswith=search_term[1:]), False
        return (queryset.filter(name__contains=search_term) if search_term else queryset), False

    def has_make_due_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may make names due."""
        return request.user.has_perm(MAY_MAKE_DUE)

    @action(description="Send chosen names as soon as possible", permissions=["make_due"])
    def make_due(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Make chosen names due, so that the next drain sends them."""
        chosen = list(queryset.values_list("pk", flat=True)[:MOST])
        number = make_rows_due(chosen)
        rest = len(chosen) - number
        others = f" Not of {counted(rest, 'other')}: due already, or a request may still arrive." if rest else ""
        messages.success(request, f"{counted(number, 'name')} made due: the next drain sends that.{others}")

    @display(description="name")
    def shown_name(self, row: Pending) -> str:
        """Return the name, as a link to what each place has of the file."""
        url = reverse("admin:resto_host_file", current_app=self.admin_site.name)
        query = urlencode({"storage": row.storage, "name": row.name})
        return format_html('<a href="{}?{}">{}</a>', url, query, shown(row.name))

    @display(description="pending for")
    def since(self, row: Pending) -> str:
        """Return how long ago the name was changed."""
        return duration(max(0.0, leases.clock() - row.created))

    @display(description="next try")
    def next_try(self, row: Pending) -> str:
        """Return when it is due."""
        now = leases.clock()
        if is_under_way(row, now):
            return "under way"
        return f"due in {duration(row.due - now)}" if row.due > now else f"due for {duration(now - row.due)}"

    @display(description="last error")
    def shown_error(self, row: Pending) -> str:
        """Return why it failed the last time."""
        return shown(row.error)
