"""The units of the docs are such as systemd takes, and start commands that there are."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from django.core.management import load_command_class

from kit.documents import ROOT
from kit.servers import REQUIRED


UNITS = sorted((ROOT / "docs" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def unit_id(unit):
    return unit.name


def test_units_are_such_as_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail("needs Debian's systemd")
        pytest.skip("needs Debian's systemd")
    for unit in UNITS:
        text = unit.read_text()
        assert ("/srv/mysite/venv/bin/python" in text) is (unit in SERVICES)
        (tmp_path / unit.name).write_text(text.replace("/srv/mysite/venv/bin/python", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=unit_id)
def test_commands_are_there(unit):
    [command] = re.findall("^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    _python, script, name, *options = shlex.split(command)
    parser = load_command_class("resto", name).create_parser(script, name)
    assert parser.parse_args(options)


def test_all_services_are_hardened_alike():
    hardening = {
        re.search(r"# It writes to.*?(?=\n\n|\Z)", unit.read_text(), re.DOTALL)[0].strip() for unit in SERVICES
    }
    assert len(hardening) == 1
