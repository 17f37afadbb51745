"""The table of the record."""

import pytest
from django.core.management import call_command

from resto.models import Pending


pytestmark = pytest.mark.django_db


def test_migrations_are_complete(capsys):
    call_command("makemigrations", "resto", check=True, dry_run=True)
    assert "No changes detected" in capsys.readouterr().out


def test_row_says_what_it_is_about():
    assert str(Pending(host="media-1", name="a.txt")) == "a.txt on media-1"


def test_any_name_fits():
    name = "/".join(["à" * 120] * 20)
    Pending.objects.create(
        storage="default", host="media-1", name=name, present=True, owner="x", quiet_until=1.5, due=2.5, created=0.5
    )
    assert Pending.objects.get(due=2.5).name == name
