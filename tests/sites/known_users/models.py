"""The models are those of the one package that this site is about, which stand in its module."""

from importlib import import_module

from django.conf import settings


use = import_module(f"sites.known_users.{settings.CONFIG['module']}").use
