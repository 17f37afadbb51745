from pathlib import Path

from django.core.files import File
from django.core.management.base import BaseCommand

from sites.newsroom.models import Article


class Command(BaseCommand):
    help = "Make an article of each file."

    def add_arguments(self, parser):
        parser.add_argument("paths", nargs="+", type=Path)

    def handle(self, *, paths, **options):
        for path in paths:
            with path.open("rb") as file:
                Article.objects.create(headline=path.stem, attachment=File(file, path.name))
