"""The settings of the tests."""

SECRET_KEY = "for tests only"

INSTALLED_APPS = ["huey.contrib.djhuey", "resto_example_plugins"]

MEDIA_ROOT = "/nonexistent/media"
MEDIA_URL = "/media/"

HUEY = {"huey_class": "huey.MemoryHuey", "immediate": False}

USE_TZ = True
