"""The form to upload with."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.forms import ModelForm

from resto.testing.play.models import Upload


if TYPE_CHECKING:
    _Form = ModelForm[Upload]
else:
    _Form = ModelForm


class UploadForm(_Form):
    """A form as any site has it."""

    class Meta:
        """Of a model as any site has it."""

        model = Upload
        fields: ClassVar = ["file"]
