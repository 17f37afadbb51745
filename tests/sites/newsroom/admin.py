from django.contrib import admin

from resto.forms import ReplicatedAdminMixin
from sites.newsroom.models import Article, Report


@admin.register(Article, Report)
class NewsAdmin(ReplicatedAdminMixin, admin.ModelAdmin):
    pass
