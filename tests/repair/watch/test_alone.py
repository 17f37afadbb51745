"""Of a storage one comparison goes on at a time."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.models import Run
from resto.record.turns import Turn
from resto.record.wishes import ask, begin
from resto.repair.watch.alone import alone, is_compared


pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storages_of_the_site(settings, media_root, resto_server_factory, identities_apply):
    """Two storages have one directory."""

    def storage(location, server):
        options = {"hosts": [server.url], "transport": "webdav", "location": str(media_root / location)}
        return {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}

    one, two = resto_server_factory(), resto_server_factory()
    settings.STORAGES = {"default": storage("a", one), "same": storage("a", one), "other": storage("b", two)}
    for alias in settings.STORAGES:
        storages[alias].save(alias, ContentFile(b"content"))


@pytest.mark.parametrize("compared", ["default", "other,default", ""])
def test_nobody_begins_beside_another_one(compared):
    run = begin(ask("sync", compared, [], "ann", {"prefix": "a"}))
    assert is_compared(["default"])
    assert is_compared(["other"]) is (compared != "default")
    with alone(["other", "default"]) as is_alone:
        assert not is_alone
    Run.objects.filter(id=run.id).update(ended=1.0)
    with alone(["other", "default"]) as is_alone:
        assert is_alone


def test_two_do_not_look_at_the_same_time():
    with alone(["default"]) as first, alone(["default"]) as second, alone(["other"]) as other, alone(["same"]) as same:
        assert (first, second, other, same) == (True, False, True, False)
    with alone(["same", "default", "other"]) as again:
        assert again


def test_nobody_begins_while_the_master_copy_is_restored():
    with Turn("other", "restore"), alone(["default", "other"]) as is_alone:
        assert not is_alone
    with alone(["default", "other"]) as is_alone:
        assert is_alone
