"""The admin: whatever it saves, a file that cannot be stored is an error of the form."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from resto.exceptions import RestoError
from resto.forms.errors import Errors
from resto.forms.words import not_deleted
from resto.record.attempts import Attempt, attempting
from resto.storage.reporting import forget_frames


if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.forms import BaseForm

    _Admin = ModelAdmin[Any]
else:
    _Admin = object


__all__ = ["ReplicatedAdminMixin"]


class ReplicatedAdminMixin(_Admin):
    """For ``ModelAdmin``: it stands before that among the bases.

    If a file cannot be stored, be it one of the object, of an inline, or of a row of the list, nothing is saved: Django rolls its
    transaction back, what was stored meanwhile is deleted, and the page is shown again, as it was typed, with the error beside the
    field. If a file cannot be deleted along with an object, the list of objects says so in a message.

    ``get_form``, ``get_formsets_with_inlines`` and ``get_changelist_formset`` that are overridden call those of their bases.
    """

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Add or change an object, or show its form again."""
        view = super().changeform_view
        if request.method != "POST":
            return view(request, object_id, form_url, extra_context)
        return _saved_or_shown(lambda: view(request, object_id, form_url, extra_context))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list of objects, change those that are edited there, or show them again."""
        view = super().changelist_view
        if request.method != "POST" or "_save" not in request.POST:  # else an action would be done twice
            return view(request, extra_context)
        return _saved_or_shown(lambda: view(request, extra_context))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Delete an object, or tell in the list of objects which host does not follow."""
        from django.contrib.admin.utils import unquote  # only a site with the admin gets here

        view = super().delete_view
        if request.method != "POST":
            return view(request, object_id, extra_context)
        return self._deleted_or_told(
            request,
            lambda: view(request, object_id, extra_context),
            lambda: self.get_object(request, unquote(object_id)) is None,
        )

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Do an action; if it is the deletion of objects, do as `delete_view` does."""
        from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME  # as above

        action = super().response_action
        if "delete_selected" not in request.POST.getlist("action"):
            return action(request, queryset, *args, **kwargs)
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return self._deleted_or_told(
            request,
            lambda: action(request, queryset, *args, **kwargs),
            lambda: not queryset.filter(pk__in=selected).exists(),
        )

    def _deleted_or_told(
        self, request: HttpRequest, delete: Callable[[], Any], is_deleted: Callable[[], bool]
    ) -> HttpResponseBase:
        try:
            return cast("HttpResponseBase", delete())
        except RestoError as error:
            failure = error
        # The transaction is over, and rolled back, unless files were deleted after its commit.
        self.message_user(request, not_deleted(failure, is_deleted=is_deleted()), messages.ERROR)
        forget_frames(failure)
        page = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        name = page if self.has_view_or_change_permission(request) else "index"
        return HttpResponseRedirect(reverse(f"admin:{name}", current_app=self.admin_site.name))

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Return the class of the form, whose errors may be what could not be stored."""
        form_class, page = super().get_form(*args, **kwargs), _pages.get()
        return form_class if page is None else _form_on(page, form_class)

    def get_formsets_with_inlines(self, *args: Any, **kwargs: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the class of the formset of each inline, as `get_form` does of the form, and the inline."""
        page = _pages.get()
        for formset_class, inline in super().get_formsets_with_inlines(*args, **kwargs):
            yield formset_class if page is None else _formset_on(page, formset_class), inline

    def get_changelist_formset(self, *args: Any, **kwargs: Any) -> Any:
        """Return the class of the formset of the list, as `get_form` does of the form."""
        formset_class, page = super().get_changelist_formset(*args, **kwargs), _pages.get()
        return formset_class if page is None else _formset_on(page, formset_class)


class _Page:
    """The forms of one request.

    Attributes:
        errors: What they show; None as long as nothing has failed.
    """

    def __init__(self) -> None:
        self.forms: list[BaseForm] = []
        self.errors: Errors | None = None


_pages: ContextVar[_Page | None] = ContextVar("resto_page", default=None)


@contextmanager
def _on(page: _Page) -> Iterator[None]:
    token = _pages.set(page)
    try:
        yield
    finally:
        _pages.reset(token)


def _saved_or_shown(view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Return the answer of a view, or, if a file cannot be stored, that which it gives to forms with this error."""
    page, attempt = _Page(), Attempt()
    with _on(page), attempting(attempt):
        try:
            return view()
        except RestoError as error:
            failure = attempt.failed_with(error)
            if failure is None:
                raise
        attempt.undo()
        page.errors = Errors(failure, attempt.replaced, page.forms)
        forget_frames(failure.error)
        return view()


def _form_on(page: _Page, form_class: type[Any]) -> type[Any]:
    """Return a class of the forms of a page: once something has failed, they show it, and validate nothing any more."""

    class Form(form_class):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            page.forms.append(self)

        def is_valid(self) -> bool:
            return page.errors is None and super().is_valid()

        def full_clean(self) -> None:
            if page.errors is None or not self.is_bound:
                super().full_clean()
                return
            self._errors = ErrorDict(renderer=self.renderer)
            self.cleaned_data: dict[str, Any] = {}
            page.errors.show(self)

    # As they are by now: a site may have changed them.
    Form.base_fields, Form.declared_fields = form_class.base_fields, form_class.declared_fields
    return _named_as(form_class, Form)


def _formset_on(page: _Page, formset_class: type[Any]) -> type[Any]:
    """Return a class of the formsets of a page, as `_form_on` does of its forms."""

    class FormSet(formset_class):  # type: ignore[misc]
        form = _form_on(page, formset_class.form)

        def is_valid(self) -> bool:
            return page.errors is None and super().is_valid()

        def full_clean(self) -> None:
            if page.errors is None or not self.is_bound:
                super().full_clean()
                return
            self._errors = [form.errors for form in self.forms]
            self._non_form_errors = self.error_class(error_class="nonform", renderer=self.renderer)

    return _named_as(formset_class, FormSet)


def _named_as(known: type[Any], other: type[Any]) -> type[Any]:
    other.__name__, other.__qualname__, other.__module__ = known.__name__, known.__qualname__, known.__module__
    return other
