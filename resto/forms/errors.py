"""What forms show of files that could not be stored: which field of which form they belong to."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db.models.fields.files import FieldFile
from django.forms import BaseForm, FileField

from resto.forms.words import lost_with_it, not_stored, of_file
from resto.record.attempts import Failure


__all__ = ["Errors"]

# The prefix of a form, and the name of one of its fields; None for the form as a whole.
Place = tuple[str | None, str | None]


class Errors:
    """What forms show of an attempt that has failed.

    Args:
        failure: What was not stored.
        replaced: Names whose older files are gone all the same.
        forms: All that took part, validated. The first one shows what belongs to no field.
    """

    def __init__(self, failure: Failure, replaced: Sequence[str], forms: Sequence[BaseForm]) -> None:
        sent = {place: files for form in forms for place, files in _sent(form)}
        cleaned = {place: files for form in forms for place, files in _cleaned(form)}
        sentences = not_stored(failure.error, replaced)
        self._messages: dict[Place, str] = dict.fromkeys(sent, lost_with_it())
        place = _place_of(failure.content, sent, cleaned)
        if place is not None:
            self._messages[place] = sentences
        elif forms:
            self._messages[forms[0].prefix, None] = of_file(_base_name(failure.content), sentences)

    def show(self, form: BaseForm) -> None:
        """Add to a form what it has to show; it may be another one than that which took part, with the same prefix."""
        for field in (None, *form.fields):
            message = self._messages.get((form.prefix, field))
            if message is not None:
                form.add_error(field, message)


def _sent(form: BaseForm) -> Iterator[tuple[Place, list[Any]]]:
    """Yield the files that a browser has sent, by field."""
    for name, field in form.fields.items():
        if isinstance(field, FileField):
            value = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
            if files := _files_of(value):
                yield (form.prefix, name), files


def _cleaned(form: BaseForm) -> Iterator[tuple[Place, list[Any]]]:
    """Yield what became of files, by field: a site may scale pictures down, or make them itself."""
    for name, value in getattr(form, "cleaned_data", {}).items():
        if files := _files_of(value):
            yield (form.prefix, name), files


def _files_of(value: Any) -> list[Any]:
    return [file for file in (value if isinstance(value, list | tuple) else [value]) if isinstance(file, File)]


def _place_of(content: Any, sent: dict[Place, list[Any]], cleaned: dict[Place, list[Any]]) -> Place | None:
    parts = {id(part) for part in _parts(content)}
    for place, files in [*sent.items(), *cleaned.items()]:
        if any(id(part) in parts for file in files for part in _parts(file)):
            return place
    # The site may have made something else of the only file, such as a thumbnail; unless it is that of a form not known here.
    return next(iter(sent)) if len(sent) == 1 and not isinstance(content, UploadedFile) else None


def _parts(file: Any) -> Iterator[Any]:
    """Yield a file, the one that it wraps, and so on; not what would have to be opened first."""
    while file is not None:
        yield file
        file = None if isinstance(file, FieldFile) else getattr(file, "file", None)


def _base_name(content: Any) -> str:
    return PurePath(getattr(content, "name", None) or "").name
