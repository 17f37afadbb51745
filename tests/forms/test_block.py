"""A block saves all of its forms, or nothing: then they are as they were, and show the error."""

import re
import subprocess
import sys
from contextlib import suppress

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages

from kit import albums
from kit.albums import (
    ALSO,
    UNAVAILABLE,
    Album,
    Picture,
    album_form,
    inlines,
    picture,
    refuse,
    save,
    sentence,
    stored,
    upload,
)
from resto.exceptions import ReplicationError
from resto.executors import Job
from resto.forms import saving
from resto.models import Pending


pytestmark = pytest.mark.django_db


def test_view_of_several_forms(client, site, servers, media_root):
    refuse(servers[2], "pictures")
    pictures = inlines(caption="two", image=picture("p.png"))
    response = client.post("/pictures/", {"title": "one", "cover": upload("c.txt"), **pictures})
    reason = f"{servers[2].address} refuses it (status 507)"
    assert response.context["form"].errors == {"cover": [ALSO]}
    assert response.context["pictures"].errors == [{"image": [sentence(reason)]}]
    assert not response.context["pictures"].is_valid()
    assert '<p id="object">None </p>' in response.content.decode()
    assert (Album.objects.count(), Picture.objects.count(), stored(servers, media_root)) == (0, 0, set())
    servers[2].on_request = servers[2].override_code = None
    pictures = inlines(caption="two", image=picture("p.png"))
    assert client.post("/pictures/", {"title": "one", "cover": upload("c.txt"), **pictures}).status_code == 302
    assert stored(servers, media_root) == {"nobody/c.txt", "pictures/p.png"}


def test_object_is_again_what_it_was(album, down, monkeypatch):
    """Its old file is not opened, to look how large it is: a host that is down may have it."""
    before = album.picture_set.get()
    monkeypatch.setattr(storages["default"], "open", None)
    form = albums.PictureForm({"caption": "new"}, {"image": picture("new.png", 9)}, instance=album.picture_set.get())
    assert not save(form)
    after = form.instance
    assert (after.pk, after.image.name, after.width) == (before.pk, "pictures/old.png", 5)
    assert (after.image._committed, after._state.adding) == (True, False)


@pytest.mark.usefixtures("site", "down")
def test_new_object_is_new_again():
    form = album_form(cover=upload("c.txt"))
    assert not save(form)
    album = form.instance
    assert (album.pk, album.cover.name, album.booklet.name, album._state.adding) == (None, "", "", True)


@pytest.mark.usefixtures("site", "down")
def test_nothing_keeps_what_was_sent_in_memory():
    form = album_form(cover=upload("c.txt"))
    assert form.is_valid()
    with saving(form) as block:
        form.save()
    error = block._attempt.failure.error
    assert (error.__traceback__, error.__cause__.__traceback__) == (None, None)


def test_other_exceptions_pass(site):
    form = album_form(cover=upload("c.txt"))
    with pytest.raises(ZeroDivisionError), saving(form):
        raise ZeroDivisionError
    assert form.is_valid()


def test_failure_that_the_site_deals_with_is_none(site, servers, media_root):
    refuse(servers[0], "thumbnail")
    form = album_form(cover=upload("c.txt"))
    with saving(form):
        with suppress(ReplicationError):
            default_storage.save("thumbnail.txt", ContentFile(b"small"))
        form.save()
    assert form.is_valid()
    assert stored(servers, media_root) == {"nobody/c.txt"}


def test_what_an_inner_block_has_saved_goes_with_the_outer_one(site, servers, media_root):
    refuse(servers[0], "second")
    first, second = album_form(cover=upload("first.txt")), album_form(cover=upload("second.txt"))
    with saving(second):
        assert save(first)
        assert stored(servers, media_root) == {"nobody/first.txt"}
        second.save()
    assert (list(first.errors), list(second.errors)) == ([], ["cover"])
    assert (Album.objects.count(), stored(servers, media_root)) == (0, set())


@pytest.mark.django_db(transaction=True)
def test_rollback_takes_nothing_from_the_record(site, servers):
    """Not even with SQLite, where rows are part of the transaction: the upload may still arrive, and nobody would know."""
    servers[0].drop_answer = True
    assert not save(album_form(cover=upload("c.txt")))
    assert [(row.host, row.name) for row in Pending.objects.all()] == [(servers[0].url, "nobody/c.txt")]


@pytest.mark.parametrize("kind", ["Async"])
@pytest.mark.django_db(transaction=True)
def test_what_was_to_be_sent_later_is_not(kind, site, servers, media_root, settings):
    broken = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"transport": "no such transport"}}
    settings.STORAGES = {**settings.STORAGES, "broken": broken}
    form = album_form(cover=upload("c.txt"))
    with saving(form):
        form.save()
        assert stored(servers, media_root) == {"nobody/c.txt"}
        storages["broken"].save("other.txt", ContentFile(b"other"))
    assert not form.is_valid()
    # What was submitted before comes first.
    default_storage.executor.run([Job("wait", host, "nobody/c.txt", int) for host in default_storage.hosts])
    assert stored(servers, media_root) == set()
    assert "PUT" not in {request.method for server in servers for request in server.requests}


# Other failures.


@pytest.fixture(params=["Hybrid", "Async", "Distributed"])
def misconfigured(request, site, settings):
    options = {"hosts": ["media-1"], "transport_options": {"auth": "nobody"}}
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{request.param}Storage", "OPTIONS": options}}


@pytest.mark.usefixtures("misconfigured")
@pytest.mark.parametrize("kind", ["Hybrid"])
def test_wrong_settings_are_told_to_operators(caplog):
    form = album_form(cover=upload("c.txt"))
    assert not save(form)
    assert re.fullmatch(sentence(rf"{UNAVAILABLE} \(resto[.]E\d{{3}}\)"), form.errors["cover"][0])
    assert "Failed to store or delete a file of a form. " in caplog.text


@pytest.mark.parametrize("kind", ["Hybrid"])
@pytest.mark.parametrize(("word", "field"), [("cover", "cover"), ("booklets", "booklet")])
def test_file_that_was_replaced_stays_and_is_told(site, servers, media_root, settings, word, field):
    backend = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"allow_overwrite": True}}
    settings.STORAGES = {"default": backend}
    default_storage.save("nobody/cover.txt", ContentFile(b"old"))
    refuse(servers[0], word)
    form = album_form(cover=upload("cover.txt", b"new"), booklet=upload("b.txt"))
    assert not save(form)
    reason = f"{servers[0].address} refuses it (status 507)"
    gone = "nothing was saved, but what was replaced is gone: nobody/cover.txt. Choose the file again, and try again."
    assert form.errors[field] == [f"not stored: {reason}; {gone}"]
    assert stored(servers, media_root) == {"nobody/cover.txt"}
    assert (media_root / "nobody/cover.txt").read_bytes() == b"new"


WITHOUT_DATABASE = """
import sys, django
from django.conf import settings
hosts = [sys.argv[1]]
storages = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": hosts, "location": sys.argv[2]}}}
settings.configure(STORAGES=storages)
django.setup()
from django import forms
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from resto.forms import saving

class Letter(forms.Form):
    letter = forms.FileField()

form = Letter({}, {"letter": SimpleUploadedFile("l.txt", b"content")})
assert form.is_valid()
with saving(form):
    default_storage.save("l.txt", form.cleaned_data["letter"])
print(form.errors["letter"][0])
"""


@pytest.mark.parametrize("kind", ["Hybrid"])
def test_site_without_database(kind, servers, tmp_path):
    servers[0].refuse = True
    command = [sys.executable, "-c", WITHOUT_DATABASE, servers[0].url, tmp_path / "media"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == f"{sentence(f'{servers[0].address} does not answer')}\n"
