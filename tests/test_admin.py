"""What Django's admin finds. The tests of pages show what that is."""

from django.contrib import admin

from resto.admin import register
from resto.models import Host, Pending, Run


def test_pages_are_there_without_configuration():
    assert all(admin.site.is_registered(model) for model in (Host, Pending, Run))


def test_pages_of_a_site_of_ones_own():
    own = admin.AdminSite("own")
    register(own)
    register(own)
    assert {*own._registry} == {Host, Pending, Run}


def test_names_that_people_read():
    assert [str(model._meta.verbose_name_plural) for model in (Host, Pending, Run)] == [
        "media hosts",
        "pending names",
        "runs",
    ]
