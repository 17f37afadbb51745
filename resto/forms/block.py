"""A form that a view saves: all of it, or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from types import TracebackType
from typing import Any, Self

from django.core.files.base import File
from django.db import connections, router, transaction
from django.db.models import FileField, ImageField, Model
from django.forms import BaseForm, BaseFormSet

from resto.forms.errors import Errors
from resto.record.attempts import Attempt, attempting
from resto.storage.reporting import forget_frames


__all__ = ["Saving", "saving"]

# What Django puts in the place of one, where a site has none.
_NO_DATABASE = "django.db.backends.dummy"


class Saving:
    """The saving of forms within a transaction, for a ``with`` block.

    If a file cannot be stored, the transaction is rolled back, what was stored meanwhile is deleted, and the block ends without
    an exception, unless there is no form that could show it. Whatever else is raised stays as it is.

    Args:
        using: The database of the transaction; None for those of the models of the forms.
    """

    def __init__(self, using: str | None = None) -> None:
        self._using = using
        self._attempt = Attempt()
        self._forms: list[BaseForm] = []
        self._instances: list[_Before] = []
        self._stack = ExitStack()

    def watch(self, *forms: "BaseForm | BaseFormSet[Any]") -> None:
        """Let forms show what could not be stored, and reset the objects that they save."""
        for form in _each(forms):
            self._forms.append(form)
            instance = getattr(form, "instance", None)
            if isinstance(instance, Model):
                self._instances.append(_Before(instance, form.initial))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(attempting(self._attempt))
            for alias in self._databases():
                stack.enter_context(transaction.atomic(using=alias))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._stack.__exit__(kind, error, traceback)
        failure = self._attempt.failed_with(error)
        if failure is None:
            return False
        self._attempt.undo()
        if not self._forms:
            return False
        errors = Errors(failure, self._attempt.replaced, self._forms)
        for before in self._instances:
            before.restore()
        for form in self._forms:
            errors.show(form)
        forget_frames(failure.error)
        return True

    def _databases(self) -> Sequence[str]:
        if self._using is not None:
            return [self._using]
        models = {type(before.instance) for before in self._instances}
        aliases = {router.db_for_write(model) for model in models} or {"default"}
        return sorted(alias for alias in aliases if connections[alias].settings_dict["ENGINE"] != _NO_DATABASE)


def saving(*forms: "BaseForm | BaseFormSet[Any]", using: str | None = None) -> Saving:
    """Save valid forms in a ``with`` block: all of them, or nothing if a file of theirs cannot be stored.

    What the block does is one transaction. If a file cannot be stored, that is rolled back, what was stored meanwhile is deleted,
    the objects that the forms save are again what they were, the forms show the error beside the field, and the block ends without
    an exception: return from within it.

    Args:
        *forms: Forms and formsets, validated. The first one shows what belongs to no field.
        using: The database of the transaction; by default that of the forms' models.
    """
    block = Saving(using)
    block.watch(*forms)
    return block


class _Before:
    """What an object was before it was saved.

    Args:
        instance: The object.
        initial: What the form showed first: the files that the object had are there.
    """

    def __init__(self, instance: Model, initial: Mapping[str, Any]) -> None:
        self.instance = instance
        self._values = dict(vars(instance))
        self._values["_state"] = copy(self._values["_state"])
        fields = instance._meta.concrete_fields  # noqa: SLF001 - a public API of Django (ref/models/meta)
        self._files = [field for field in fields if isinstance(field, FileField)]
        for field in self._files:
            self._values[field.attname] = _file_before(instance, field, initial)

    def restore(self) -> None:
        """Let the object be that again, once the transaction is rolled back."""
        # Not by assignment: a field of a picture would open the file, to look how large it is.
        vars(self.instance).clear()
        vars(self.instance).update(self._values)
        sizes = [size for field in self._files if isinstance(field, ImageField) for size in _sizes(field)]
        if sizes and not self._values["_state"].adding:
            self.instance.refresh_from_db(fields=sizes)


def _file_before(instance: Model, field: FileField, initial: Mapping[str, Any]) -> Any:
    """Return what a field of an object held before the form was validated."""
    held = vars(instance).get(field.attname)
    if field.name in initial:
        return getattr(initial[field.name], "name", initial[field.name])
    is_upload = isinstance(held, File) and not getattr(held, "_committed", False)
    return field.get_default() if is_upload else held


def _sizes(field: ImageField) -> list[str]:
    """Return the fields that validation has set with the file."""
    names = [getattr(field, attribute) for attribute in ("width_field", "height_field")]
    return [name for name in names if name]


def _each(forms: "Sequence[BaseForm | BaseFormSet[Any]]") -> Iterator[BaseForm]:
    for form in forms:
        if isinstance(form, BaseFormSet):
            yield from form.forms
        else:
            yield form
