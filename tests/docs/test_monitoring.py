"""Alerts and the dashboard: what they are about is told by the site, and they do what they say."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from kit.documents import ROOT
from kit.servers import REQUIRED
from resto.metrics import actions
from resto.metrics.record import RecordCollector


MONITORING = ROOT / "docs" / "monitoring"
RULES = yaml.safe_load((MONITORING / "resto.rules.yml").read_text())["groups"][0]["rules"]
TESTS = yaml.safe_load((MONITORING / "resto.rules.test.yml").read_text())["tests"]
DASHBOARD = json.loads((MONITORING / "resto.dashboard.json").read_text())
OBSERVE = (ROOT / "docs" / "observe.md").read_text()
ALERTS = (ROOT / "docs" / "alerts.md").read_text()

# What a metric's samples are called, by its type.
SUFFIXES = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}


def told():
    """The metrics that there are: name -> labels."""
    counted = (actions.FAILURES, actions.SECONDS, actions.SENT)
    found = {
        family.name + suffix: set(family._labelnames)
        for family in RecordCollector().describe()
        for suffix in SUFFIXES[family.type]
    }
    for metric in counted:
        (family,) = metric.describe()
        found |= {family.name + suffix: set(metric._labelnames) | {"le"} for suffix in SUFFIXES[family.type]}
    return found


def expressions():
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


@pytest.mark.parametrize(("name", "expression"), [*expressions()])
def test_expressions_are_about_what_the_site_tells(name, expression):
    """Of names and labels that do not exist, Prometheus says nothing at all."""
    names = set(re.findall(r"\bresto_\w+", expression))
    assert names
    assert names <= told().keys()
    labels = set.union(*(told()[name] for name in names)) | {"instance"}
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(re.findall(r"\w+", group)) <= labels
    for matcher in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=", matcher)) <= labels


def test_legends_are_of_labels_that_their_expressions_keep():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            kept = {label for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
            assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= kept, panel["title"]


def test_each_metric_is_documented():
    assert set(re.findall(r"^\| `(resto_\w+)`", OBSERVE, re.MULTILINE)) == told().keys() - {
        f"resto_action_duration_seconds_{suffix}" for suffix in ("bucket", "count", "sum")
    } | {"resto_action_duration_seconds"}


def test_each_alert_is_documented():
    assert re.findall(r"^\| `(Resto\w+)`", ALERTS, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_each_alert_is_tested():
    tested = {one["alertname"] for test in TESTS for one in test.get("alert_rule_test", ())}
    tested |= {
        name
        for test in TESTS
        for one in test.get("promql_expr_test", ())
        for name in re.findall("Resto\\w+", one["expr"])
    }
    assert tested == {rule["alert"] for rule in RULES}


def test_alerts_say_what_is_wrong_and_what_to_do():
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_panels_are_in_their_places():
    """None lies upon another one, and each has a name of its own."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    for key in ("id", "title"):
        assert len({panel[key] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.fixture
def promtool():
    """Debian's, which is in its package prometheus."""
    found = shutil.which("promtool")
    if found is None and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"there is no promtool ({REQUIRED} is set)")
    elif found is None:
        pytest.skip("there is no promtool")
    return found


def test_panels_are_understood(promtool, tmp_path):
    """With what Grafana puts in the place of its variables."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m").replace("$storage", ".*")}
        for number, expr in enumerate(asked)
    ]
    assert not [rule["expr"] for rule in rules if "$" in rule["expr"]]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(asked)} rules found" in done.stdout


def test_alerts_fire_and_end(promtool):
    done = subprocess.run(
        [promtool, "test", "rules", MONITORING / "resto.rules.test.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
