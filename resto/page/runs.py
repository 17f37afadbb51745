"""The list of runs, and what came of one."""

import json
from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter, action, display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from resto.counts import counted
from resto.models import Run
from resto.names import shown
from resto.page.record_admin import MOST, RecordAdmin
from resto.page.run_lines import line_of, subject_of
from resto.record.runs import KINDS, WAITS, WATCH, DatabaseClock, row_of
from resto.record.wishes import withdraw
from resto.words.moments import moment_of


__all__ = ["RunAdmin"]

# Who may withdraw what was asked for: whoever may ask for something.
_MAY_WITHDRAW = "resto.add_run"

# What can be chosen of how far runs are, and what holds of them.
_STATES = {
    "asked": ("asked for", WAITS),
    "begun": ("not ended", Q(started__isnull=False, ended__isnull=True)),
    "done": ("done", Q(ended__isnull=False, code=0)),
    "failed": ("failed", Q(started__isnull=False, ended__isnull=False) & ~Q(code=0)),
    "withdrawn": ("withdrawn", Q(started__isnull=True, ended__isnull=False)),
}


class KindFilter(SimpleListFilter):
    """By what was done."""

    title = "kind"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        return [(kind, kind) for kind in (*KINDS, WATCH)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs of that kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class StateFilter(SimpleListFilter):
    """By how far it is."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        return [(value, words) for value, (words, _) in _STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs in that state."""
        found = _STATES.get(str(self.value()))
        return queryset if found is None else queryset.filter(found[1])


_SUMMARY = ("what", "state", "outcome", "who", "where")
_TIMES = ("asked_at", "started_at", "seen_at", "ended_at")
_OUTCOME = ("shown_code", "shown_counts", "shown_problems", "shown_options", "shown_report")


class RunAdmin(RecordAdmin):
    """Shows what was asked for, is done, and was done."""

    list_display = ("what", "state", "outcome", "age", "who", "where")
    list_filter = (KindFilter, StateFilter)
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": _SUMMARY}),
        ("Times", {"fields": _TIMES}),
        ("What came of it", {"fields": _OUTCOME}),
    )
    readonly_fields = (*_SUMMARY, *_TIMES, *_OUTCOME)
    actions = ("withdraw",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all runs, with the time by the clock of their database."""
        found: QuerySet[Any] = super().get_queryset(request).annotate(now=DatabaseClock())
        return found

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may withdraw what was asked for."""
        return request.user.has_perm(_MAY_WITHDRAW)

    @action(description="Withdraw what was asked for and nobody has begun", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Withdraw what was chosen, as far as it waits."""
        chosen = list(queryset.values_list("pk", flat=True)[:MOST])
        number = withdraw(chosen, request.user.get_username())
        rest = len(chosen) - number
        others = f" Not {counted(rest, 'other')}: somebody has begun, or it is over." if rest else ""
        messages.success(request, f"{counted(number, 'run')} withdrawn.{others}")

    @display(description="what")
    def what(self, run: Run) -> str:
        """Return what is done, and for what."""
        return subject_of(row_of(run))

    @display(description="state")
    def state(self, run: Run) -> str:
        """Return how far it is, in a word."""
        return row_of(run).state

    @display(description="how far, or what came of it")
    def outcome(self, run: Run) -> str:
        """Return the same in more words."""
        return line_of(row_of(run)).outcome

    @display(description="since")
    def age(self, run: Run) -> str:
        """Return since when it is in that state."""
        return line_of(row_of(run)).age

    @display(description="asked for by")
    def who(self, run: Run) -> str:
        """Return who has asked for it on the page."""
        return run.asked_by

    @display(description="where")
    def where(self, run: Run) -> str:
        """Return by which process it is done."""
        return line_of(row_of(run)).where

    @display(description="asked for")
    def asked_at(self, run: Run) -> str:
        """Return when that was."""
        return moment_of(run.asked)

    @display(description="begun")
    def started_at(self, run: Run) -> str:
        """Return when that was."""
        return moment_of(run.started)

    @display(description="last sign of life")
    def seen_at(self, run: Run) -> str:
        """Return when that was."""
        return moment_of(run.seen)

    @display(description="ended")
    def ended_at(self, run: Run) -> str:
        """Return when that was."""
        return moment_of(run.ended)

    @display(description="exit code")
    def shown_code(self, run: Run) -> str:
        """Return the code of the command."""
        return "" if run.code is None else str(run.code)

    @display(description="counts")
    def shown_counts(self, run: Run) -> str:
        """Return what came of it, in numbers."""
        return ", ".join(f"{name}: {number:,}" for name, number in row_of(run).counts.items())

    @display(description="first problems")
    def shown_problems(self, run: Run) -> str:
        """Return the first problems, as a list."""
        problems = row_of(run).problems
        items = format_html_join("", "<li>{}</li>", ((shown(problem),) for problem in problems))
        return format_html("<ul>{}</ul>", items) if problems else ""

    @display(description="options")
    def shown_options(self, run: Run) -> str:
        """Return what else was asked for."""
        return _as_text(row_of(run).options)

    @display(description="report")
    def shown_report(self, run: Run) -> str:
        """Return what else came of it."""
        return _as_text(row_of(run).report)


def _as_text(value: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2)) if value else ""
