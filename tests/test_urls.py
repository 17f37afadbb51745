"""The addresses of pages for machines; what they show is tested with the views."""

import pytest
from django.urls import NoReverseMatch, include, path, reverse

from resto import views


urlpatterns = [path("resto/", include("resto.urls"))]


@pytest.mark.parametrize("name", views.__all__)
def test_each_view_has_an_address(name):
    assert reverse(f"resto:{name}", __name__) == f"/resto/{name}"


def test_nothing_else_has():
    with pytest.raises(NoReverseMatch):
        reverse("resto:other", __name__)
