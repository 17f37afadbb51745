from django.contrib import admin
from django.urls import path

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
    path("notes/", views.notes),
    *pages("articles", Article),
    *pages("reports", Report),
]
