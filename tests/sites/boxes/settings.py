"""The settings of the site, on one of the boxes: what differs is where it finds the database, and which host is near."""

import json
import os
from pathlib import Path


_config = json.loads(Path(os.environ["BOXES_CONFIG"]).read_text(encoding="utf-8"))

SECRET_KEY = "boxes"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["resto"]
MIDDLEWARE = []
ROOT_URLCONF = "sites.boxes.urls"
DATABASES = {"default": _config["database"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

MEDIA_URL = "/media/"
STORAGES = {
    "default": {
        "BACKEND": "resto.storage.DistributedStorage",
        "OPTIONS": {"hosts": _config["hosts"], "fatal_exceptions": False, "timeout": 0.5},
    },
}
RESTO_NEAR = _config["near"]
RESTO_NEAR_LAG = _config["lag"]
# Long enough for requests of half a second on a busy machine, and short enough for a test.
RESTO_LEASE, RESTO_GRACE = 6, 4

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"resto": {"handlers": ["console"]}, "django.request": {"handlers": ["console"], "propagate": False}},
}
