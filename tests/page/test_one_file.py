"""Where a file is."""

import re

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError

from resto.page import one_file


PAGE = "/admin/resto/host/file/"


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text))


def test_nothing_is_asked_for(operator):
    assert "All places agree" not in text_of(operator.get(PAGE))


def test_everywhere(operator, site, servers):
    site.save("photos/a.txt", ContentFile(b"abc"))
    text = text_of(operator.get(PAGE, {"name": "photos//a.txt"}))
    assert "All places agree." in text
    assert re.search(r"master copy 3 bytes, of \d{4}-\S+ \S+ \w+", text)
    assert re.search(rf"{servers[1].url} 3 bytes, of .* nothing is pending", text)
    assert "Compare photos/ with all hosts" in text


def test_host_has_missed_it(operator, servers, miss):
    miss(servers[1], "a.txt")
    text = text_of(operator.get(PAGE, {"name": "a.txt", "storage": "none such"}))
    assert "Not all places agree." in text
    assert re.search(rf"{servers[1].url} no file pending for \d seconds?, due in .*connection refused", text)
    assert "Compare all files with all hosts" in text


def test_host_is_down(operator, servers):
    servers[0].refuse = True
    assert "not known, connection refused" in text_of(operator.get(PAGE, {"name": "a.txt"}))


def test_host_that_has_left(operator, servers, miss, settings):
    miss(servers[1], "a.txt")
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    assert f"{servers[1].url} not a host of this storage pending for" in text_of(operator.get(PAGE, {"name": "a.txt"}))


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", ".resto.host"])
def test_no_name_of_a_file(operator, name):
    text = text_of(operator.get(PAGE, {"name": name}))
    assert f"&#x27;{name}&#x27; " in text
    assert "places agree" not in text


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(DatabaseError("down"), "The record cannot be read: down"), (RuntimeError("no plugin"), "default: no plugin")],
)
def test_what_cannot_be_found_out(operator, monkeypatch, error, sentence):
    def fail(*args):
        raise error

    monkeypatch.setattr(one_file, "file_status", fail)
    assert sentence in text_of(operator.get(PAGE, {"name": "a"}))


def test_no_storage(operator, settings):
    settings.STORAGES = {}
    assert "places agree" not in text_of(operator.get(PAGE, {"name": "a"}))


def test_several_storages_can_be_chosen(operator, settings, site, servers):
    settings.STORAGES = {**settings.STORAGES, "other": settings.STORAGES["default"]}
    text = operator.get(PAGE, {"name": "a", "storage": "other"}).text
    assert "<option selected>other</option>" in text
