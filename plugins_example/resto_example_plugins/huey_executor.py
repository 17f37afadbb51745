"""The executor that hands jobs to Huey."""

import huey  # noqa: F401 - who has not installed it is told so here, by whatever lists the plugins
from django.apps import apps

from resto.exceptions import ConfigurationError
from resto.executors.queue import Message, QueueExecutor


__all__ = ["HueyExecutor"]

_APPS = ("huey.contrib.djhuey", "resto_example_plugins")


class HueyExecutor(QueueExecutor):
    """Hands jobs to the Huey of the setting ``HUEY``, whose workers ``manage.py run_huey`` starts.

    Huey forgets a task when a worker takes it. What a worker has not finished when it is killed is done by the next drain.
    """

    def __init__(self) -> None:
        missing = [app for app in _APPS if not apps.is_installed(app)]
        if missing:
            raise ConfigurationError(
                f"workers of Huey would not find resto's task: INSTALLED_APPS lacks {' and '.join(missing)}",
                "Add it to INSTALLED_APPS.",
                "E007",
            )
        # Not before: whoever imports it makes the Huey of the settings, by default one that needs redis.
        from resto_example_plugins.tasks import replicate

        self._replicate = replicate

    def enqueue(self, message: Message) -> None:
        self._replicate(message)
