"""What machines ask a site: ``path("resto/", include("resto.urls"))``."""

from django.urls import path

from resto import views


__all__ = ["app_name", "urlpatterns"]

app_name = "resto"

urlpatterns = [
    path("live", views.live, name="live"),
    path("ready", views.ready, name="ready"),
    path("status", views.status, name="status"),
    path("metrics", views.metrics, name="metrics"),
]
