"""The admin shows a form again whose file could not be stored, and nothing is left of the attempt."""

from functools import partial

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.signals import post_delete

from kit import albums
from kit.albums import (
    ALSO,
    OLD,
    UNAVAILABLE,
    Album,
    AlbumForm,
    Picture,
    inlines,
    picture,
    refuse,
    sent_again,
    sentence,
    stored,
    upload,
)
from resto import health
from resto.exceptions import ReplicationError


pytestmark = pytest.mark.django_db


def errors_of(response):
    """The errors of a page of the admin, by the name of the field."""
    page = response.context_data
    shown = [page["adminform"].form, *(form for one in page["inline_admin_formsets"] for form in one.formset.forms)]
    return {form.add_prefix(name): list(errors) for form in shown for name, errors in form.errors.items()}


ADD = "/admin/resto/album/add/"


def test_admin_saves(editor, servers, media_root):
    files = {"cover": upload("c.txt"), "booklet": upload("b.txt")}
    sent = {"title": "one", **files, **inlines(caption="two", image=picture("p.png"))}
    assert editor.post(ADD, sent).status_code == 302
    album = Album.objects.get()
    assert (album.cover.name, album.owner) == ("editor/c.txt", "editor")
    assert stored(servers, media_root) == {"editor/c.txt", "booklets/b.txt", "pictures/p.png"}
    assert Picture.objects.get().width == 7
    assert editor.get(f"/admin/resto/album/{album.pk}/change/").status_code == 200


def test_admin_shows_the_form_as_it_was_typed(editor, servers, media_root):
    servers[1].refuse = True
    response = editor.post(ADD, {"title": "as typed", "cover": upload("c.txt"), **inlines()})
    assert errors_of(response) == {"cover": [sentence(f"{servers[1].address} does not answer")]}
    page = response.content.decode()
    assert 'value="as typed"' in page
    assert "The title:" in page
    assert "Please correct the error below" in page
    assert "does not answer; nothing was saved" in page
    assert not Album.objects.exists()
    assert stored(servers, media_root) == set()


def test_file_that_was_stored_before_another_one_is_deleted(editor, servers, media_root):
    refuse(servers[1], "booklets")
    response = editor.post(ADD, {"title": "one", "cover": upload("c.txt"), "booklet": upload("b.txt"), **inlines()})
    reason = f"{servers[1].address} refuses it (status 507)"
    assert errors_of(response) == {"booklet": [sentence(reason)], "cover": [ALSO]}
    assert stored(servers, media_root) == set()


def test_inline_that_fails_takes_all_with_it(editor, servers, media_root):
    refuse(servers[2], "pictures")
    pictures = inlines(caption="two", image=picture("p.png"))
    response = editor.post(ADD, {"title": "one", "cover": upload("c.txt"), **pictures})
    reason = f"{servers[2].address} refuses it (status 507)"
    assert errors_of(response) == {"picture_set-0-image": [sentence(reason)], "cover": [ALSO]}
    assert 'value="two"' in response.content.decode()
    assert (Album.objects.count(), Picture.objects.count()) == (0, 0)
    assert stored(servers, media_root) == set()


def test_changed_object_keeps_its_file(editor, album, servers, media_root):
    servers[0].refuse = True
    one = album.picture_set.get()
    pictures = inlines(initial=1, caption="new", image=picture("new.png"), id=one.pk, album=album.pk)
    sent = {"title": "new", "cover": upload("new.txt"), **pictures}
    response = editor.post(f"/admin/resto/album/{album.pk}/change/", sent)
    assert list(errors_of(response)) == ["cover", "picture_set-0-image"]
    assert response.context_data["original"].cover.name == "somebody/old.txt"
    album.refresh_from_db()
    assert (album.title, album.cover.name, album.owner) == ("old", "somebody/old.txt", "somebody")
    assert stored(servers, media_root) == OLD
    servers[0].refuse = False
    assert editor.post(f"/admin/resto/album/{album.pk}/change/", sent_again(sent)).status_code == 302
    album.refresh_from_db()
    assert (album.title, album.cover.name) == ("new", "editor/new.txt")


def test_form_that_is_shown_again_is_not_valid(editor, album, servers, monkeypatch):
    """Not even one all of whose files are stored: it does not get as far as what the site does with valid ones."""

    def save_form(self, request, form, change):
        assert form.cleaned_data["title"]
        return form.save(commit=False)

    monkeypatch.setattr(albums.AlbumAdmin, "save_form", save_form)
    servers[0].refuse = True
    sent = {"title": "new", **inlines(caption="new", image=picture("new.png"))}
    response = editor.post(f"/admin/resto/album/{album.pk}/change/", sent)
    assert list(errors_of(response)) == ["picture_set-0-image"]


def test_list_shows_the_error_in_its_row(editor, album, servers, media_root):
    servers[0].refuse = True
    sent = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": album.pk, "form-0-booklet": upload("b.txt")}
    response = editor.post("/admin/resto/album/", {**sent, "_save": "Save"})
    [form] = response.context_data["cl"].formset.forms
    assert form.errors == {"booklet": [sentence(f"{servers[0].address} does not answer")]}
    assert "does not answer" in response.content.decode()
    assert stored(servers, media_root) == OLD


def test_form_that_is_not_valid_stores_nothing(editor, servers, media_root):
    servers[0].refuse = True
    response = editor.post(ADD, {"title": "", "cover": upload("c.txt"), **inlines()})
    assert errors_of(response) == {"title": ["This field is required."]}
    assert [server.requests for server in servers] == [[], [], []]


@pytest.fixture(params=["at once", "after the commit"])
def deletes_files(request):
    """When the site deletes the files of an album that is deleted."""

    def delete(sender, instance, **kwargs):
        act = partial(instance.cover.delete, save=False)
        act() if request.param == "at once" else transaction.on_commit(act)

    post_delete.connect(delete, Album)
    yield request.param
    post_delete.disconnect(delete, Album)
    Album.objects.all().delete()  # the end of a test does not know the table


@pytest.fixture(params=["one", "selected"])
def delete(request, editor, album):
    """A function that deletes an album in the admin, and returns the messages."""
    ContentType.objects.get_for_model(Album)  # as after `migrate`; one that is rolled back would be remembered
    Picture.objects.all().delete()  # as no registry knows these models, nothing cascades to them
    url, sent = f"/admin/resto/album/{album.pk}/delete/", {"post": "yes"}
    if request.param == "selected":
        url, sent = "/admin/resto/album/", {**sent, "action": "delete_selected", "_selected_action": [album.pk]}

    def delete():
        response = editor.post(url, sent, follow=True)
        assert response.redirect_chain == [("/admin/resto/album/", 302)]
        return [str(message) for message in response.context["messages"]]

    return delete


@pytest.mark.django_db(transaction=True)
def test_host_that_does_not_follow_a_deletion_is_told_of(delete, deletes_files, servers, album):
    servers[1].refuse = True
    reason = f"{servers[1].address} does not answer"
    if deletes_files == "at once":
        assert delete() == [f"Not deleted: {reason}. Files may be gone already. Delete it again."]
        servers[1].refuse = False
        health.forget()
        [message] = delete()
        assert message.startswith(("The album", "Successfully deleted"))
    else:
        assert delete()[-1] == f"Deleted, but not every file of it: {reason}."
    assert not Album.objects.filter(pk=album.pk).exists()


def test_what_else_fails_in_the_admin_is_not_hidden(editor, album, servers, monkeypatch):
    def save_model(self, request, obj, form, change):
        obj.cover.delete()

    monkeypatch.setattr(albums.AlbumAdmin, "save_model", save_model)
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="delete of"):
        editor.post(f"/admin/resto/album/{album.pk}/change/", {"title": "new", **inlines()})


def test_form_of_which_nothing_is_known_is_not_saved_twice(editor, servers, media_root, monkeypatch):
    """A site overrides what builds the form, and does not ask its bases."""
    monkeypatch.setattr(albums.AlbumAdmin, "get_form", lambda self, request, obj=None, **kwargs: AlbumForm)
    monkeypatch.setattr(albums.AlbumAdmin, "inlines", ())
    refuse(servers[0], "c.txt")
    with pytest.raises(ReplicationError, match="507"):
        editor.post(ADD, {"title": "one", "cover": upload("c.txt"), **inlines()})
    assert [request.name for request in servers[0].requests if request.method == "PUT"].count("editor/c.txt") == 1
    assert not Album.objects.exists()


@pytest.mark.parametrize("kind", ["Hybrid", "Async"])
@pytest.mark.usefixtures("identities_apply")
def test_wrong_disk_is_a_sentence_beside_the_field(kind, editor, media_root, tmp_path, caplog):
    default_storage.save("first.txt", ContentFile(b"first"))
    media_root.rename(tmp_path / "elsewhere")
    response = editor.post(ADD, {"title": "one", "cover": upload("c.txt"), **inlines()})
    assert errors_of(response) == {"cover": [sentence(f"{UNAVAILABLE} (resto.E019)")]}
    assert str(media_root) not in response.content.decode()
    assert str(media_root) in caplog.text
