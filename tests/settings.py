"""Settings of the test project."""

SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "resto",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MEDIA_ROOT = "/nonexistent/media"  # tests that write have one of their own
MEDIA_URL = "/media/"
RESTO_TIMEOUT = 20  # a busy machine needs a few; tests of hosts that hang have a shorter one
