"""``python -m resto.testing.play.manage DIRECTORY COMMAND``: what ``manage.py`` is for other sites."""

import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from resto.testing.play.site import configure


def main() -> None:
    """Run a command of Django for the site in a directory."""
    _, directory, *arguments = sys.argv
    configure(Path(directory))
    execute_from_command_line(["manage.py", *arguments])


if __name__ == "__main__":
    main()
