"""Views that are classes: whatever they save, a file that cannot be stored is an error of their form."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db import router
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from resto.forms.block import Saving


if TYPE_CHECKING:
    from django.forms import BaseForm
    from django.views.generic import FormView

    _View = FormView[BaseForm]
else:
    _View = object


__all__ = ["ReplicatedFormMixin"]


class ReplicatedFormMixin(_View):
    """For ``CreateView``, ``UpdateView``, ``FormView`` and the like: it stands before them among the bases of a view.

    A request that sends the form is one transaction. If a file cannot be stored, that is rolled back, what was stored meanwhile is
    deleted, and the answer is that of ``form_invalid``: the form as it was typed, with the error beside the field. Where
    ``get_form`` is overridden, it calls that of its bases.
    """

    _saving: Saving | None = None
    _form: Any = None

    def get_form(self, form_class: Any = None) -> Any:
        """Return the form, of whose object is known what it is before it is validated."""
        form = super().get_form(form_class)
        if self._saving is not None:
            self._form = form
            self._saving.watch(form)
        return form

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request; one that sends the form is a transaction."""
        if request.method not in ("POST", "PUT"):
            return super().dispatch(request, *args, **kwargs)
        with Saving(_database(self)) as self._saving:
            return super().dispatch(request, *args, **kwargs)
        _rewind(request)
        if hasattr(self, "object"):
            instance = getattr(self._form, "instance", None)
            is_new = instance is None or instance._state.adding  # noqa: SLF001 - a public API of Django (ref/models/instances)
            vars(self)["object"] = None if is_new else instance  # views of a model say what type it has, each
        return self.form_invalid(self._form)


def _rewind(request: HttpRequest) -> None:
    """Let the files that were sent be read again, from their starts: the page may have formsets that validate them anew."""
    for _, files in request.FILES.lists():
        for file in files:
            with suppress(ValueError, OSError):  # the site may have closed or moved it
                file.seek(0)


def _database(view: Any) -> str | None:
    """Return the database of the model of a view; None if it has none."""
    form_class = getattr(view, "form_class", None)
    models = (
        getattr(view, "model", None),
        getattr(getattr(view, "queryset", None), "model", None),
        getattr(getattr(form_class, "_meta", None), "model", None),
    )
    return next((router.db_for_write(model) for model in models if model is not None), None)
