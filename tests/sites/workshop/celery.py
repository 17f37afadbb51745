"""The workshop's Celery app, as Celery's documentation tells Django sites to make it."""

from celery import Celery


app = Celery("workshop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
