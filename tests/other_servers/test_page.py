"""docs/media-servers.md says what `make servers` has found."""

import json

from kit.kinds import KINDS
from kit.other_kinds import OTHERS
from other_servers import table


def test_page_has_the_table_of_the_last_run():
    results, text = json.loads(table.RESULTS.read_text()), table.PAGE.read_text()
    assert table.page(text, results) == text, "make servers writes docs/media-servers.md anew"
    assert [*results] == [*table.ROWS]
    assert table.unexplained(results) == []


def test_all_kinds_are_tried():
    assert table.ROWS.keys() >= OTHERS.keys()
    configurations = {kind.program for kind in KINDS.values()}
    assert configurations <= {"nginx", "apache2", "lighttpd", "rclone", "wsgidav"}


def test_what_fails_without_a_reason_is_told(monkeypatch):
    row = table.Row("A", lambda package: "1.0", "a", "old", {"cannot": "it cannot"})
    monkeypatch.setattr(table, "ROWS", {"apache": row})
    report = {"http": {"test_a": "E: cannot", "test_b": "odd", "test_c": None}, "webdav": {"test_a": None}}
    results = {"apache": table.judged("apache", report)}
    assert table.unexplained(results) == ["apache: http: test_b: odd"]
    cells = '| A | 1.0 | 1 of 3 | 1 of 1 | old; `"http"`: no directories; `"http"`: it cannot; `"http"`: http: test_b: odd |'
    assert table.table(results).splitlines()[-1] == cells
