"""Views that are classes show a form again whose file could not be stored."""

import pytest

from kit import albums
from kit.albums import (
    ALSO,
    OLD,
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
from resto.exceptions import ReplicationError


pytestmark = pytest.mark.django_db


def test_create_view(client, site, servers, media_root, down):
    response = client.post("/add/", {"title": "as typed", "cover": upload("c.txt"), "booklet": upload("b.txt")})
    form = response.context["form"]
    assert form.errors == {"cover": [down], "booklet": [ALSO]}
    assert (form.instance.pk, form.instance._state.adding, form.instance.cover.name) == (None, True, "")
    page = response.content.decode()
    assert 'value="as typed"' in page
    assert 'id="object"' not in page
    assert (Album.objects.count(), stored(servers, media_root), albums.SAVED) == (0, set(), [])


def test_update_view(client, album, servers, media_root, down):
    path = f"/{album.pk}/edit/"
    sent = {"title": "as typed", "cover": upload("c.txt"), "booklet-clear": "on"}
    response = client.post(path, sent)
    assert response.context["form"].errors == {"cover": [down]}
    page = response.content.decode()
    assert 'value="as typed"' in page
    assert f'<p id="object">{album.pk} somebody/old.txt</p>' in page
    assert stored(servers, media_root) == OLD
    servers[1].refuse = False
    assert client.post(path, sent_again(sent)).status_code == 302
    album.refresh_from_db()
    assert (album.title, album.cover.name, albums.SAVED) == ("as typed", "somebody/c.txt", ["Edit"])


def test_view_of_a_form_without_a_model(client, site, servers, media_root, down):
    response = client.post("/send/", {"letter": upload("l.txt")})
    assert response.context["form"].errors == {"letter": [down]}
    servers[1].refuse = False
    assert client.post("/send/", {"letter": upload("l.txt")}).status_code == 302
    assert stored(servers, media_root) == {"letters/l.txt"}


def test_formset_of_the_site_is_validated_again_with_the_files(client, site, servers, media_root):
    refuse(servers[2], "pictures")
    sent = {"title": "one", "cover": upload("c.txt"), **inlines(caption="two", image=picture("p.png"))}
    response = client.post("/add-with-pictures/", sent)
    reason = sentence(f"{servers[2].address} refuses it (status 507)")
    assert response.context["form"].errors == {"__all__": [f"p.png: {reason}"], "cover": [ALSO]}
    assert response.context["pictures"].errors == [{}]
    assert 'id="object"' not in response.content.decode()
    assert (Album.objects.count(), stored(servers, media_root)) == (0, set())
    servers[2].on_request = servers[2].override_code = None
    assert client.post("/add-with-pictures/", sent_again(sent)).status_code == 302
    assert Picture.objects.get().album == Album.objects.get()


def test_views_answer_other_requests_as_ever(client, site, down):
    assert "<form>" in client.get("/add/").content.decode()
    assert client.post("/add/", {"title": "no file"}).context["form"].errors == {"cover": ["This field is required."]}


def test_form_of_which_nothing_is_known_cannot_show_what_has_failed(client, site, servers, media_root, monkeypatch):
    """A site overrides what builds the form, and does not ask its bases."""
    monkeypatch.setattr(albums.Add, "get_form", lambda self: AlbumForm(self.request.POST, self.request.FILES), False)
    refuse(servers[0], "booklets")
    with pytest.raises(ReplicationError, match="507"):
        client.post("/add/", {"title": "one", "cover": upload("c.txt"), "booklet": upload("b.txt")})
    assert (Album.objects.count(), stored(servers, media_root)) == (0, set())
