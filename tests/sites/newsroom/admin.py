from django.contrib import admin

from sites.newsroom.models import Article, Report


admin.site.register([Article, Report])
