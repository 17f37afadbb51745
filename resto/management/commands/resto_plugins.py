"""Says which plugins are installed, where they come from, and what is wrong with them."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from resto.installed import Installed, installed_plugins
from resto.management.interruption import InterruptibleCommand
from resto.plugins import get_plugin_manager


__all__ = ["Command"]


class Command(InterruptibleCommand):
    """``manage.py resto_plugins``."""

    help = (
        "Say which transports, executors and observers are installed, and which package each comes from. Loads all of them. "
        "Ends with 1 if one is broken, else with 0."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; they may fail because of a plugin

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a list of objects, one for each")

    def handle(self, *args: Any, **options: Any) -> None:
        installed = installed_plugins(get_plugin_manager())
        if options["json"]:
            self.stdout.write(json.dumps([one.as_dict() for one in installed]))
        else:
            for one in installed:
                self.stdout.write(_sentence(one))
        if any(one.state == "broken" for one in installed):
            sys.exit(1)


def _sentence(one: Installed) -> str:
    told = {"usable": one.path, "optional": f"not installed: {one.problem}", "broken": f"broken: {one.problem}"}
    return f"{one.kind} {one.name} of {one.distribution} {one.version}: {told[one.state]}"
