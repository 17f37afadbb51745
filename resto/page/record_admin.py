"""Rows of the record in the admin: they are looked at, and changed by nobody."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib.admin import ModelAdmin, ShowFacets
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst

from resto.exceptions import ConfigurationError
from resto.names import shown
from resto.record.database import connected
from resto.settings import get_setting


if TYPE_CHECKING:
    _Admin = ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _Admin = ModelAdmin
    _Paginator = Paginator

__all__ = ["MAY_MAKE_DUE", "MOST", "CappedPaginator", "RecordAdmin"]

# Who may make names due.
MAY_MAKE_DUE = "resto.change_pending"

# Rows that can be leafed through. To count a million takes long, and nobody looks at them page by page.
MOST = 10_000


class CappedPaginator(_Paginator):
    """Knows of the first 10 000 rows only."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, 10 000 at most."""
        return min(self._counted, MOST)

    @cached_property
    def has_more(self) -> bool:
        """Whether there are more than that."""
        return self._counted > MOST

    @cached_property
    def _counted(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by().values("pk")[: MOST + 1].count()


class RecordAdmin(_Admin):
    """Shows rows of one of the record's models, wherever ``RESTO_DATABASE`` is, to those who may view them."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count everything
    sortable_by: ClassVar[tuple[str, ...]] = ()  # only some orders have an index

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, or do with rows of it what was chosen."""
        title = capfirst(str(self.opts.verbose_name_plural))
        return self._without_record(request) or super().changelist_view(
            request, {"title": title, **(extra_context or {})}
        )

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show a row."""
        return self._without_record(request) or super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Refuse to delete a row."""
        return self._without_record(request) or super().delete_view(request, *args, **kwargs)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show what was done to a row by hand, which is nothing."""
        return self._without_record(request) or super().history_view(request, *args, **kwargs)

    def _without_record(self, request: HttpRequest) -> HttpResponse | None:
        """Return the page that says that the record cannot be read, and why; None if it can."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            with connected() as connection:
                self.model._base_manager.using(connection.alias).values("pk").first()  # noqa: SLF001 - public (topics/db/managers)
        except (DatabaseError, ConfigurationError) as error:
            request.current_app = self.admin_site.name
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": capfirst(str(self.opts.verbose_name_plural)),
                "problem": shown(f"The record cannot be read: {error}"),
            }
            return TemplateResponse(request, "admin/resto/no_record.html", context)
        return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all rows."""
        return super().get_queryset(request).using(get_setting("DATABASE"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows by hand."""
        return False
