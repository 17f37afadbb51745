"""A process that saves, writes over and deletes files at random, until it is killed."""

import random
import sys
from contextlib import suppress

import django


if __name__ == "__main__":
    django.setup()

    from django.core.files.base import ContentFile
    from django.core.files.storage import storages
    from django.db import transaction

    from resto.exceptions import ReplicationError
    from resto.storage import DistributedStorage

    storage, choice = storages["default"], random.Random()
    names = sys.argv[1:]

    def write_more(name):
        with storage.open(name, "ab") as file:
            file.write(b"more")

    def replace(name):
        storage.delete(name)
        with suppress(FileExistsError):
            storage._save(name, content())

    def content():
        return ContentFile(choice.randbytes(choice.choice([10, 1_000, 200_000])))

    change = replace if isinstance(storage, DistributedStorage) else write_more
    print("writing", flush=True)  # noqa: T201 - this is how it tells
    while True:
        name = choice.choice(names)
        with transaction.atomic(), suppress(ReplicationError):
            if choice.random() < 0.3:
                storage.delete(name)
            elif choice.random() < 0.5:
                storage.save(name, content())
            else:
                change(name)
            if choice.random() < 0.3:
                transaction.set_rollback(True)
        print("wrote", flush=True)  # noqa: T201
