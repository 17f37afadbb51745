from pathlib import Path

from django.contrib import admin
from django.urls import include, path
from django.views.static import serve

from sites.newsroom import views
from sites.newsroom.models import Article, Report


def pages(prefix, model):
    return [
        path(f"{prefix}/", views.Add.as_view(model=model)),
        path(f"{prefix}/<int:pk>/", views.Show.as_view(model=model)),
        path(f"{prefix}/<int:pk>/edit/", views.Edit.as_view(model=model)),
        path(f"{prefix}/<int:pk>/delete/", views.Delete.as_view(model=model)),
    ]


urlpatterns = [
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve, {"document_root": Path(admin.__file__).parent / "static"}),
    path("notes/", views.notes),
    path("resto/", include("resto.urls")),
    path("articles/add/", views.AddOrShow.as_view(model=Article)),
    *pages("articles", Article),
    *pages("reports", Report),
]
