"""A process that saves and deletes files as it is told on its standard input, one call in JSON a line."""

import base64
import importlib
import json
import sys

import django


if __name__ == "__main__":
    django.setup()

    from django.conf import settings
    from django.core.files.base import ContentFile
    from django.core.files.storage import storages

    if hasattr(settings, "CELERY_BROKER_URL"):
        importlib.import_module("sites.workshop.celery")  # as the package of a site does

    storage = storages["default"]
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        if method == "save":
            name, content = arguments
            answer = storage.save(name, ContentFile(base64.b64decode(content)))
        elif method == "send":
            answer = storage.executor.enqueue(*arguments)
        else:
            answer = getattr(storage, method)(*arguments)
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is how it answers
