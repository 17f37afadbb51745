"""What the page on security says is shown by tests."""

import ast
import os
import re

import pytest
from redis import Redis
from rq import Queue, SimpleWorker

from kit.documents import ROOT


PAGE = ROOT / "docs" / "security.md"
SENTENCES = re.findall(r"^- .*$", PAGE.read_text(), re.MULTILINE)


def names_of_tests(path):
    """The names of the tests in a module."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_sentence_has_its_tests(sentence):
    (named,) = re.findall(r"\. <!-- ([^>]+) -->$", sentence)
    for path, name in (one.split("::") for one in named.split()):
        assert name.startswith("test_")
        assert name in names_of_tests(ROOT / path)


def test_page_is_linked():
    assert "(security.md)" in (ROOT / "docs" / "README.md").read_text()
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text()


class Worker(SimpleWorker):
    """Leaves the signals to whoever runs the tests."""

    def _install_signal_handlers(self):
        pass


def test_rq_runs_what_its_queue_says(redis_server):
    """That is not for resto to mend: the page says to keep others from the queue."""
    with Redis.from_url(redis_server.url) as redis:
        queue = Queue("forged", connection=redis)
        job = queue.enqueue("os.getpid")
        Worker([queue], connection=redis).work(burst=True, logging_level="ERROR")
        assert job.return_value() == os.getpid()
