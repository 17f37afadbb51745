"""The application that lets each process count, in processes of its own."""

import json
import subprocess

import pytest

from kit import forks
from resto.exceptions import ConfigurationError
from resto.metrics import without_package


SITE = """
import json, os, sys
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["resto", *json.loads(sys.argv[1])],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[2] + ".sqlite3"}},
    MEDIA_URL="/media/",
    MEDIA_ROOT=sys.argv[2],
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF="urls",
    RESTO_MEDIA_HOSTS=[sys.argv[3]],
    RESTO_SECRETS={"metrics": "token"},
    STORAGES={"default": {"BACKEND": "resto.storage.HybridStorage"}},
)
import django
django.setup()
"""

VISIT = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
default_storage.save("a", ContentFile(b"12345"))

def page(path):
    return Client(headers={"Authorization": "Bearer token"}).get(path).text
"""


@pytest.fixture
def run(tmp_path, resto_server_factory):
    """Run a program on a site with one host; return what it prints as JSON."""
    (tmp_path / "urls.py").write_text(
        "from django.urls import include, path\n"
        "from django.conf import settings\n"
        "urlpatterns = [path('resto/', include('resto.urls'))]\n"
        "if 'django_prometheus' in settings.INSTALLED_APPS:\n"
        "    urlpatterns += [path('', include('django_prometheus.urls'))]\n"
    )
    server = resto_server_factory(webdav=False)

    def run(apps, program):
        command = [forks.python(), "-c", SITE + program, json.dumps(apps), tmp_path / "media", server.url]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_nothing_is_counted_unless_a_site_asks_for_it(run):
    program = (
        "from resto.plugins import get_plugin_manager\n"
        "page('/resto/metrics')\n"
        "from prometheus_client import REGISTRY\n"
        "observed = get_plugin_manager().is_observed('resto_action_finished')\n"
        "names = [one.name for one in REGISTRY.collect() if one.name.startswith('resto')]\n"
        "print(json.dumps([observed, names, 'resto_action' in page('/resto/metrics')]))"
    )
    assert run([], VISIT + program) == [False, [], False]


def test_forked_processes_count_too(run):
    """What a process knows of plugins, a fork finds out anew."""
    program = (
        "from resto.plugins import get_plugin_manager\n"
        "from resto.installed import installed_plugins\n"
        "if child := os.fork():\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "print(json.dumps([[one.path, one.distribution] for one in installed_plugins(get_plugin_manager())"
        " if one.kind == 'observer' and one.path.startswith('resto.')]))"
    )
    assert run(["resto.metrics"], program) == [["resto.metrics.actions.resto_action_finished", "django-resto-storage"]]


@pytest.mark.parametrize("apps", [["django_prometheus", "resto.metrics"], ["resto.metrics", "django_prometheus"]])
def test_beside_django_prometheus(run, apps):
    """It shows the counters, as they are where all libraries have theirs; and what the record says, if a site says so."""
    program = (
        "before = page('/metrics')\n"
        "import prometheus_client\n"
        "from resto.metrics.record import RecordCollector\n"
        "prometheus_client.REGISTRY.register(RecordCollector())\n"
        "print(json.dumps([before, page('/metrics'), page('/resto/metrics')]))"
    )
    before, all_of_it, own = run(apps, VISIT + program)
    counter = 'resto_sent_bytes_total{host="http://'
    assert before.count(counter) == all_of_it.count(counter) == own.count(counter) == 1
    assert "resto_record_up" not in before
    assert all_of_it.count("resto_record_up 1.0") == own.count("resto_record_up 1.0") == 1
    assert "django_" in before
    assert "django_" not in own
    assert "python_" not in own


def test_package_is_missing():
    error = without_package(ModuleNotFoundError("no", name="prometheus_client"))
    assert isinstance(error, ConfigurationError)
    assert "pip install 'prometheus-client>=0.22'" in str(error)
    other = ModuleNotFoundError("no", name="something")
    assert without_package(other) is other


def test_site_without_the_package_says_what_is_missing(run):
    program = (
        "sys.modules['prometheus_client'] = None\n"
        "from django.apps import apps\n"
        "from resto.metrics.apps import RestoMetricsConfig\n"
        "import resto.metrics\n"
        "said = []\n"
        "for call in (RestoMetricsConfig('resto.metrics', resto.metrics).ready, resto.metrics.exposed):\n"
        "    try:\n"
        "        call()\n"
        "    except Exception as error:\n"
        "        said.append(str(error))\n"
        "print(json.dumps([*said, page('/resto/metrics'), page('/resto/live')]))"
    )
    *said, live = run([], VISIT + program)
    assert all("pip install 'prometheus-client>=0.22'" in one for one in said)
    assert len(said) == 3
    assert live == "live\n"
