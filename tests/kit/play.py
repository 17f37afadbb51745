"""The site to play with, as a process, and a visitor of it."""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

import requests


PATIENCE = 120  # seconds

# What the page says of a host that lacks nothing.
EQUAL = "Equal to the master copy. Nothing is pending."


class PlaySite:
    """``python -m resto.testing.play``, and what a visitor does there without a browser.

    Args:
        folder: For its temporary directory, and for what it says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.visitor = requests.Session()
        self.visitor.trust_env = False

    def __enter__(self) -> Self:
        command = [sys.executable, "-W", "error", "-m", "resto.testing.play"]
        with (self.folder / "errors.log").open("w") as errors:
            self.process = subprocess.Popen(
                command,
                env=os.environ | {"TMPDIR": str(self.folder)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        said = "".join(iter(self.process.stdout.readline, "Ctrl-C ends all of it, and removes what was written.\n"))
        found = re.search(r"http://\S+", said)
        assert found, self.errors
        self.address, self.manage = found[0], re.search(r"-m (resto\.\S+ \S+) ", said)[1].split()
        self.page = self.visitor.get(self.address, timeout=PATIENCE).text
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self.process:
            self.process.terminate()
        self.visitor.close()

    @property
    def url(self) -> str:
        return urljoin(self.address, "/")

    @property
    def directory(self) -> Path:
        return Path(self.manage[1])

    @property
    def errors(self) -> str:
        """What it has written to its standard error output."""
        return (self.folder / "errors.log").read_text()

    def post(self, path: str, data: dict[str, str], files: dict[str, object] | None = None) -> str:
        """Send a form, and return the page that is the answer."""
        token = re.search('name="csrfmiddlewaretoken" value="(.*?)"', self.page)[1]
        data = {"csrfmiddlewaretoken": token, **data}
        answer = self.visitor.post(urljoin(self.url, path), data, files=files, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.text

    def click(self, do: str) -> str:
        """Click a button, by what it does."""
        return self.post("act/", {"do": do})

    def upload(self, name: str, content: bytes) -> str:
        """Upload a file."""
        return self.post("", {}, {"file": (name, content)})

    def state(self) -> str:
        """What the page shows of the hosts."""
        answer = self.visitor.get(urljoin(self.url, "state/"), timeout=PATIENCE)
        answer.raise_for_status()
        return answer.text

    def host(self, name: str) -> str:
        """What the page shows of one host: words, without tags."""
        found = re.search(f'<article class="[a-z]+" id="{name}">(.*?)</article>', self.state(), re.DOTALL)[1]
        return " ".join(unescape(re.sub("<.*?>", " ", found)).split())

    def has(self, host: str, name: str) -> bytes | None:
        """What a host has on its disk under a name."""
        path = self.directory / host / name
        return path.read_bytes() if path.exists() else None
