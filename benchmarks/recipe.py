"""The recipe of django-resto's README, with django-resto itself. Workers import it, so that it needs a module of its own."""

import os

from django_resto.storage import AsyncStorage
from redis import Redis
from rq import Queue


QUEUE = Queue(connection=Redis.from_url(os.environ["WORKSHOP_REDIS"]))


class RecipeStorage(AsyncStorage):
    def execute_one(self, func, *args, **kwargs):
        return QUEUE.enqueue(func, *args, **kwargs)
