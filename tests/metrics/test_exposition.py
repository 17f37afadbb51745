"""All metrics in one text: of one process, and of all processes of a machine."""

import contextlib
import re
import urllib.parse

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from resto.metrics import exposed
from sites.newsroom.server import DEADLINE, EDITOR, Newsroom


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("new_overview")
def test_formats():
    """Prometheus says which ones it understands."""
    text, kind = exposed()
    assert kind.startswith("text/plain; version=0.0.4")
    assert any(family.name == "resto_record_up" for family in text_string_to_metric_families(text.decode()))
    text, kind = exposed("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")


@pytest.fixture
def site(tmp_path, resto_server_factory):
    """A site under gunicorn, in two processes."""
    hosts = [resto_server_factory(webdav=True).url for _ in range(2)]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    apps = ["resto.metrics", "django_prometheus"]
    with contextlib.closing(Newsroom("HybridStorage", hosts, apps=apps, environment=environment)) as site:
        site.run("-m", "sites.newsroom.prepare", *EDITOR)
        yield site.start()


def test_several_processes(site):
    """Whichever of them is asked tells what all have counted, and what the site did before they were forked."""
    workers, saved, told = set(), 1, {}

    def ask(method, path, **options):
        url = urllib.parse.urljoin(site.url, path)
        answer = requests.request(method, url, timeout=DEADLINE, headers=headers, **options)
        assert answer.status_code == 200, site.log
        workers.add(answer.headers["X-Worker"])
        return answer

    headers = {"Connection": "close", "Authorization": f"Bearer {site.password}"}
    while len(workers) < 2:
        ask("POST", "notes/", data={"action": "save", "name": f"{saved}.txt", "text": "12345"})
        saved += 1
    while len(told) < 2:
        answer = ask("GET", "resto/metrics")
        told[answer.headers["X-Worker"]] = answer.text
    for text in told.values():
        for host in site.hosts:
            uploads = f'resto_action_duration_seconds_count{{action="upload",host="{host}"}}'
            assert f"{uploads} {saved}.0" in text
            assert f'resto_sent_bytes_total{{host="{host}"}} {5 * (saved - 1) + len("before the fork")}.0' in text
            assert f'resto_pending_names{{host="{host}",storage="default"}} 0.0' in text
        assert "resto_record_up 1.0" in text
        assert set(re.findall("^(?:# TYPE )?([a-z]+)", text, re.MULTILINE)) == {"resto"}
