"""The recipe of django-resto's README, word for word but for the name of the module and of the queue."""

import os

from redis import Redis
from rq import Queue

from resto.storage import AsyncStorage


class RecipeStorage(AsyncStorage):
    def execute_one(self, func, *args, **kwargs):
        queue = Queue(connection=Redis.from_url(os.environ["WORKSHOP_REDIS"]))
        return queue.enqueue(func, *args, **kwargs)
