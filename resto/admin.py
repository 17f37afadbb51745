"""Where Django's admin looks: what operators see there of hosts, pending names and runs."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite, ModelAdmin

from resto.models import Host, Pending, Run
from resto.page.hosts import HostAdmin
from resto.page.pending import PendingAdmin
from resto.page.runs import RunAdmin


__all__ = ["register"]


def register(site: AdminSite) -> None:
    """Show hosts, pending names and runs on a site of the admin; on Django's own they are without that.

    Args:
        site: Of your own.
    """
    pages: dict[Any, type[ModelAdmin[Any]]] = {Host: HostAdmin, Pending: PendingAdmin, Run: RunAdmin}
    for model, page in pages.items():
        if not site.is_registered(model):
            site.register(model, page)


register(admin.site)
