"""Where the pages are."""

from django.contrib import admin
from django.urls import path

from resto.testing.play import views


urlpatterns = [
    path("", views.show_page, name="page"),
    path("enter/<str:token>/", views.enter, name="enter"),
    path("closed/", views.show_closed, name="closed"),
    path("state/", views.show_state, name="state"),
    path("act/", views.act, name="act"),
    path("media/<path:name>", views.show_file, name="file"),
    path("admin/", admin.site.urls),
]
