"""Errors stand beside the field of the file that could not be stored."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from kit.albums import ALSO, AlbumForm, album_form, refuse, save, sentence, stored, upload
from resto.forms import saving


pytestmark = pytest.mark.django_db


class Scaled(AlbumForm):
    """Stores something else than what was sent."""

    def clean_cover(self):
        return ContentFile(b"small", "scaled.txt")


@pytest.mark.parametrize("form_class", [AlbumForm, Scaled])
def test_file_that_the_site_has_changed_belongs_to_its_field(site, servers, form_class):
    refuse(servers[0], "nobody")
    form = form_class({"title": "one"}, {"cover": upload("c.txt"), "booklet": upload("b.txt")})
    assert not save(form)
    reason = f"{servers[0].address} refuses it (status 507)"
    assert form.errors == {"cover": [sentence(reason)], "booklet": [ALSO]}


def save_with_thumbnail(form):
    assert form.is_valid()
    with saving(form):
        form.save()
        default_storage.save("small/thumbnail.txt", ContentFile(b"small", "thumbnail.txt"))


def test_what_was_made_of_the_only_file_belongs_to_its_field(site, servers, media_root):
    refuse(servers[0], "thumbnail")
    form = album_form(cover=upload("c.txt"))
    save_with_thumbnail(form)
    assert list(form.errors) == ["cover"]
    assert stored(servers, media_root) == set()


def test_what_was_made_of_one_of_two_files_belongs_to_the_form(site, servers):
    refuse(servers[0], "thumbnail")
    form = album_form(cover=upload("c.txt"), booklet=upload("b.txt"))
    save_with_thumbnail(form)
    reason = f"{servers[0].address} refuses it (status 507)"
    assert form.errors == {"__all__": [f"thumbnail.txt: {sentence(reason)}"], "cover": [ALSO], "booklet": [ALSO]}
