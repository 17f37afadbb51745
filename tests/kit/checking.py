"""The system checks of resto."""

from django.core import checks


def run():
    """Run the checks as `manage.py check` does."""
    return [message for message in checks.run_checks(tags=["files"]) if message.id.startswith("resto.")]
