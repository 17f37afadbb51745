"""Settings of the workshop: what differs from test to test comes from the file that WORKSHOP_CONFIG names."""

import json
import os
from pathlib import Path

import pymysql


pymysql.install_as_MySQLdb()

CONFIG = json.loads(Path(os.environ["WORKSHOP_CONFIG"]).read_text(encoding="utf-8"))
FOLDER = Path(CONFIG["folder"])

SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = ["resto", *CONFIG["apps"]]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    },
}
MEDIA_ROOT = FOLDER / "media"
MEDIA_URL = "/media/"
RESTO_TIMEOUT = 20  # a busy machine needs a few
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {"resto": {"handlers": ["stderr"], "level": "INFO"}},
}
globals().update(CONFIG["settings"])
