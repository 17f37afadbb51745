"""Make the newsroom's database, with an editor who may do everything."""

import sys

import django


if __name__ == "__main__":
    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_superuser(*sys.argv[1:])
