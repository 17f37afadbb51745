from django.contrib import admin

from newsroom.models import Article, Report


admin.site.register([Article, Report])
