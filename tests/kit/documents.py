"""Reads the pages of the documentation, and does what they say.

The blocks of a page are done in their order, in one directory and one namespace, with these conventions:

- ``http(s)://media-N.example.com`` is a media server on this machine, wherever it occurs; so is ``http://media-1:8080``.
- ``/srv/``, ``/etc/nginx/`` and ``/var/log/`` are folders of the test.
- A ``python`` block that begins with ``# FILE`` is added to that file. Another one is run; if it sets ``STORAGES``, these
  settings hold from then on, and a file is saved with them.
- A ``diff`` block is run as the ``python`` block that it results in.
- A ``console`` block is run command by command, and the output below a command is compared; ``...`` stands for anything.
  What needs a machine of its own is checked for its syntax only.
- A ``crontab`` block is run line by line, at once.
- What listens on a port that the page names gets another one, that is free.
- An ``ini`` block is the description of a service, a ``toml`` block that of a package with a plugin.
- A page with commands of ``manage.py`` that starts no site is about the site of getting-started.
- ``https://s3.example.com`` is a server that speaks S3.
- A page that mentions ``resto-example-plugins`` is about a site in which that package is installed.
- A page that imports from ``resto_folder`` goes on where the page about writing a transport has ended.
- Throwaway hosts that a command starts go on, too, once they have printed what is shown.
- ``redis://localhost:6379/0`` is a Redis of the tests. Workers are started, and go on; what is shown after a save may take
  them a moment.
"""

import configparser
import contextlib
import importlib
import io
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import types
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from kit.kinds import MORE_CONFIGS
from kit.servers import free_port
from resto.executors import Job
from resto.names import HOST_IDENTITY
from resto.plugins import PluginManager
from resto.storage import ReplicatedStorage
from sites.workshop.site import Worker, wait_until


ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
PAGES.append(ROOT / "plugins_example" / "README.md")

PATIENCE = 300  # seconds

CREDENTIALS = ("media", "a pass:word")
PASSWORDS = ["a pass:word of the first", "one of the second", "one of the third"]


def set_credentials(servers, text):
    """Let servers ask for what a block says: one credential for all, or one for each."""
    for server, password in zip(servers, PASSWORDS, strict=True):
        if "MEDIA_1_PASSWORD" in text:
            server.credentials = ("site", password)
        elif "RESTO_SECRETS" in text and "MEDIA_PASSWORD" in text:
            server.credentials = CREDENTIALS


# What the sites of other machines, or of root, are told to do.
ELSEWHERE = {
    *("/opt/wsgidav/bin/pip", "/opt/wsgidav/bin/wsgidav", "apachectl", "apt-get", "chmod", "chown", "htdigest"),
    *("install", "lighttpd", "ls", "openssl", "pip", "printf", "python3"),
}


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str
    line: int


def read_blocks(page):
    """The blocks of a page, in their order."""
    blocks, opened = [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.lstrip().startswith("```"):
            if opened:
                opened[1].append(line + "\n")
        elif opened:
            assert line == "```", f"{page.name}:{number}: no end of a block"
            blocks.append(Block(opened[0], "".join(opened[1]), opened[2]))
            opened = None
        else:
            assert line.startswith("```"), f"{page.name}:{number}: an indented block"
            opened = line.removeprefix("```"), [], number
    assert opened is None, f"{page.name}: a block does not end"
    return blocks


def load_module(page, name):
    """The module that the blocks of a page write into a file."""
    module = types.ModuleType(name)
    for block in read_blocks(page):
        if block.text.startswith(f"# {name}.py\n"):
            exec(compile(block.text, f"{page.name}/{name}.py", "exec"), vars(module))
    return module


def without_blocks(page):
    """The prose of a page."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def words(text):
    return [word for word in text.split() if re.search(r"\w", word)]


def read_commands(text):
    """The commands of a console, each with the output that stands below it."""
    commands = []
    for line in text.splitlines(keepends=True):
        if commands and not commands[-1][1] and commands[-1][0].endswith("\\\n"):
            commands[-1][0] += line
        elif line.startswith("$ "):
            commands.append([line[2:], ""])
        else:
            assert commands, f"output without a command: {line!r}"
            commands[-1][1] += line
    return commands


def matches(actual, expected):
    """Whether an output is as expected; ``...`` stands for anything, also for several lines."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.DOTALL) is not None


class Queue:
    """Stands for one of rq: what is put in travels as a pickle, and is called elsewhere."""

    def enqueue(self, func, *args, **kwargs):
        func, args, kwargs = pickle.loads(pickle.dumps((func, args, kwargs)))
        func(*args, **kwargs)


# What a worker logs when it is ready.
READY = {
    "--watch": "Watching the record",
    "gunicorn": "Listening at",
    "--hosts": "Ctrl-C ends them",
    "rq cron": "Enqueued job",
    "rq": "Listening on",
    "celery -A mysite beat": "beat: Starting",
    "celery": " ready.",
    "rqworker": "Listening on",
    "db_worker": "Starting worker",
    "run_huey": "Huey consumer started",
}


class Reader:
    """Does what a page says.

    Args:
        directory: An empty one.
        settings: Those of the tests, from pytest-django.
        servers: Media servers, started.
        find_redis: Returns the URL of an empty Redis.
        find_s3: Returns the URL of a server that speaks S3.
        programs: Folders of programs that commands find before others.
    """

    # A command that runs those that it is given, elsewhere.
    within: Sequence[str] = ()

    def __init__(self, directory, settings, servers, find_redis, find_s3, programs=()):
        self.directory = directory
        self.find_redis = find_redis
        self.find_s3 = find_s3
        self.workers = []
        self.ports = {}
        self.programs = programs
        self.settings = settings
        self.servers = servers
        self.module = types.ModuleType("page")
        self.namespace = vars(self.module)
        self.namespace.update(BASE_DIR=directory, INSTALLED_APPS=[], queue=Queue())

    def do(self, block):
        """Do what a block says; there is no block that this does not understand."""
        getattr(self, f"do_{block.language}")(block.text)

    # Python.

    def do_python(self, text):
        first, _, _ = text.partition("\n")
        if first.startswith("# ") and first.endswith(".py"):
            path = self.directory / first[2:]
            if path.parent.name == "mysite" and not path.parent.exists():
                self.start_site()
            path.write_text((path.read_text() if path.exists() else "") + self.substitute(text))
            return
        exec(compile(self.substitute(text), "block", "exec"), self.namespace)
        if "STORAGES" in text:
            self.load({name: self.namespace[name] for name in self.namespace if name.isupper()})

    def do_diff(self, text):
        assert all(line[:1] in "+- " for line in text.splitlines())
        kept = [line[1:] for line in text.splitlines(keepends=True) if not line.startswith("-")]
        self.do_python("".join(kept))

    def load(self, values):
        """Make settings hold, and save a file with them."""
        for app in values.pop("INSTALLED_APPS"):
            assert app == "resto"
        self.settings.MEDIA_ROOT = str(self.directory / "media")
        for name, value in values.items():
            setattr(self.settings, name, value)
        if not isinstance(default_storage, ReplicatedStorage):
            assert default_storage.exists(default_storage.save("saved.txt", ContentFile(b"data")))
            return
        for host in default_storage.hosts:
            directory = host if host.startswith("/") else default_storage.transport_for(host).local_path(host)
            if directory is not None:
                Path(directory).mkdir(parents=True, exist_ok=True)
                (Path(directory) / HOST_IDENTITY).touch()  # which the first save makes, but not in a test
        assert default_storage.problems() == []
        name = default_storage.save("saved.txt", ContentFile(b"data"))
        if default_storage.executor.supports_run:  # what was submitted before comes first
            default_storage.executor.run([Job("wait", host, name, int) for host in default_storage.hosts])
        assert len(default_storage.hosts) > 1 or self.settings.RESTO_MEDIA_HOSTS == "none"
        assert all(self.has_file(host, name) for host in default_storage.hosts)

    def has_file(self, host, name):
        if host.startswith("/"):
            return Path(host, name).is_file()
        if host in self.settings.STORAGES or host.startswith("file:"):
            return default_storage.transport_for(host).exists(host, name)
        (server,) = (server for server in self.servers if server.address in host)
        return server.has_file(f"media/{name}") or server.has_file(name)

    # Consoles.

    def do_console(self, text):
        for command, expected in read_commands(text):
            program = next(word for word in shlex.split(command, comments=True) if not re.match("[A-Z_]+=", word))
            run = getattr(self, f"run_{program.replace('-', '_')}", None)
            assert run or program in ELSEWHERE, f"what to do with {program}?"
            if "manage.py" in command and not (self.directory / "manage.py").exists():
                self.start_site()
            checked = self.run(command, "-n")
            assert checked.returncode == 0, checked.stdout
            output = run(command, expected) if run else None
            if expected and output is not None:
                assert matches(output, expected), f"{command}{output}"

    def start_site(self):
        """Start the site of getting-started."""
        blocks = read_blocks(ROOT / "docs" / "getting-started.md")
        self.succeed("django-admin startproject mysite .", "")
        self.do_python(next(block.text for block in blocks if block.text.startswith("# mysite/settings.py")))

    def run(self, command, *options):
        """Run a command in the directory of the page, with the servers and folders of the test."""
        return subprocess.run(
            [*self.within, "bash", *options, "-c", self.substitute(command)],
            cwd=self.directory,
            env=self.environment(programs=self.programs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )

    def environment(self, programs=()):
        """That of a person who has no settings of their own; a folder of programs may go before those of the system."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "DJANGO_SETTINGS_MODULE" and not name.startswith("COVERAGE")  # which slows workers down
        }
        folders = [*programs, Path(sys.executable).parent, environment["PATH"], "/usr/sbin"]
        return environment | {"PATH": ":".join(map(str, folders))}

    def succeed(self, command, expected):
        """Run a command and return its output; it fails only if that is what the page shows."""
        done = self.run(command)
        assert (done.returncode == 0) != ("Traceback" in expected), f"{command}{done.stdout}"
        return self.substitute_back(done.stdout)

    run_echo = run_mkdir = run_django_admin = succeed

    def run_mv(self, command, expected):
        """What is of the site is moved; other pages move what is of the system."""
        return None if " /" in command else self.succeed(command, expected)

    run_cp = run_mv

    def run_python(self, command, expected):
        if " -m pip " in command:
            return None
        if "--watch" in command or any(f"manage.py {name}" in command for name in READY):
            return self.run_worker(command, expected)
        if "resto.testing --hosts" in command:
            self.run_worker(command, "")
            wait_until(lambda: matches(self.workers[-1].log, expected))
            return None
        if "resto_drain" in command and expected:
            # What has just failed is not due at once.
            outputs = []
            wait_until(
                lambda: matches(outputs.append(self.run(command).stdout) or outputs[-1], expected),
                lambda: "".join(dict.fromkeys(outputs)),
            )
            return None
        return self.succeed(command, expected)

    def run_worker(self, command, expected):
        """Start a worker, in the place of one that a page has started before."""
        assert not expected
        self.stop_workers()
        self.workers.append(
            Worker(
                ["bash", "-c", f"exec env {self.substitute(command)}"],
                self.directory,
                self.environment(programs=self.programs),
            )
        )
        self.workers[-1].wait_for(next(ready for name, ready in READY.items() if name in command))

    run_rq = run_celery = run_gunicorn = run_worker

    def stop_workers(self):
        while self.workers:
            self.workers.pop().kill()

    def run_make(self, command, expected):
        """Targets exist; what the demo shows is what it says."""
        planned = subprocess.run(
            ["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
        assert planned.returncode == 0, planned.stderr
        if not expected:
            return
        (demo,) = [line for line in planned.stdout.splitlines() if "resto.testing.demo" in line]
        done = self.run(demo.replace(".venv/bin/python", sys.executable))
        assert done.returncode == 0
        for line in expected.splitlines():
            # Times, and the widths that depend on them, are other ones each time.
            assert line == "..." or _timeless(line) in map(_timeless, done.stdout.splitlines()), line
        return

    def run_sed(self, command, expected):
        *_, source, _, target = shlex.split(command, comments=True)
        assert (ROOT / "docs" / "servers" / source).is_file()
        if " ... " in command:
            return None  # an abbreviation of a command that is shown in full
        shutil.copy(ROOT / "docs" / "servers" / source, self.directory)
        Path(self.substitute(target)).parent.mkdir(parents=True, exist_ok=True)
        self.succeed(command, expected)
        written = Path(self.substitute(target)).read_text()
        assert not re.search("@[A-Z_]+@", re.sub("#.*", "", written))
        return ""

    def run_nginx(self, command, expected):
        """Root, and the programs, are not everywhere; other tests start the servers."""
        if not expected or os.geteuid() != 0 or not Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so").exists():
            return None
        (self.directory / "var" / "log" / "nginx").mkdir(parents=True)  # its package makes it
        return self.succeed(f"nginx -t -e stderr -c /etc/nginx/nginx.conf -g 'pid {self.directory}/pid;'", expected)

    def run_find(self, command, expected):
        """It removes what was left long ago, and nothing else. When a file was changed cannot be set: when it was written is."""
        command = command.replace("-ctime", "-mtime")
        folder = Path(self.substitute(shlex.split(command)[1]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".resto-directory").mkdir()
        for name, days in [
            (".resto-old", 3),
            (".resto-new", 0),
            ("old.jpg", 3),
            (".resto-directory/probe", 3),
            (".resto-directory", 3),
        ]:
            if not (folder / name).is_dir():
                (folder / name).touch()
            os.utime(folder / name, (time.time() - days * 86_400,) * 2)
        output = self.succeed(command, expected)
        assert {path.name for path in folder.iterdir()} >= {".resto-new", "old.jpg"}
        assert not (folder / ".resto-old").exists()
        assert not (folder / ".resto-directory").exists()
        return output

    def run_curl(self, command, expected):
        if not shutil.which("curl"):
            return None
        (self.directory / "photo.jpg").write_bytes(b"photo")
        for server in self.servers:
            server.readonly = "403" in command
        if self.workers:
            wait_until(lambda: self.run(command).returncode == 0, lambda: self.workers[0].log)
        output = self.succeed(command, expected)
        assert ("403" in command) == ("403" in output)
        return output

    def run_systemctl(self, command, expected):
        """In getting-started, nginx on the second server is stopped and started."""
        if "stop nginx" in command:
            self.servers[1].refuse = True
        elif "start nginx" in command:
            self.servers[1].refuse = False

    def run_pytest(self, command, expected):
        """In this process, as another one takes seconds to start; without what may be there only once in a process."""
        output = io.StringIO()
        options = [f"-pno:{plugin}" for plugin in ("cacheprovider", "django", "faulthandler", "timeout", "xdist")]
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(output):
            status = pytest.main([*shlex.split(command)[1:], *options, "--rootdir=.", "-c/dev/null", "--capture=no"])
        assert status == 0, output.getvalue()
        return output.getvalue()

    # Services and packages.

    def do_ini(self, text):
        service = configparser.ConfigParser()
        service.optionxform = str
        service.read_string(text)
        assert {"Unit", "Service", "Install"} == set(service.sections())
        assert service["Service"]["ExecStart"].startswith("/")

    def do_crontab(self, text):
        for line in text.splitlines():
            *times, command = line.split(maxsplit=5)
            assert all(re.fullmatch(r"\*|\d+", time) for time in times)
            self.succeed(command.replace("cd /srv/mysite && venv/bin/", ""), "")

    def do_yaml(self, text):
        """A piece of a configuration of Prometheus or Kubernetes."""
        assert isinstance(yaml.safe_load(text), dict)

    def do_nginx(self, text):
        """A piece of a configuration; a real nginx has it in the tests of `resto.transports.publishing`."""
        assert text.startswith("location ")
        assert text.count("{") == text.count("}")

    def do_apache(self, text):
        """Lines of a configuration, which a real Apache has in `kit/configs`, with another server behind it."""
        self._require_tried(text, "apache-before.conf", but="ProxyPass ")

    def do_vcl(self, text):
        """Lines for Varnish, in the same way."""
        self._require_tried(text, "varnish.vcl", but="acl ")

    def _require_tried(self, text, config, but):
        """Insist on the lines of a configuration, but for one that names addresses."""
        tried = (MORE_CONFIGS / config).read_text().splitlines()
        assert [line for line in text.splitlines() if line not in tried and not line.startswith(but)] == []

    def do_toml(self, text):
        """What a package offers under a name is what its module has."""
        points = tomllib.loads(text)["project"]["entry-points"]["resto"]
        for name, module in points.items():
            ((kind, offered),) = [
                (kind, hook()[name])
                for kind in ("transport", "executor")
                if (hook := getattr(importlib.import_module(module), f"resto_register_{kind}s", None))
            ]
            manager = PluginManager((EntryPoint(name, module, "resto"),))
            assert getattr(manager, kind)(name) is offered

    # The conventions.

    def substitute(self, text):
        text = re.sub("(?<=127[.]0[.]0[.]1:)(?:8000|9100)|(?<=--metrics )9100", self._port, text)
        if "redis://localhost" in text:
            text = text.replace("redis://localhost:6379/0", self.find_redis())
        if "s3.example.com" in text:
            text = text.replace("https://s3.example.com", self.find_s3())
        text = re.sub("https?://media-([1-3])(?:[.]example[.]com|:8080)", self._url, text)
        text = re.sub("(?<![.\\w])media-([1-3]):8080", lambda match: self.servers[int(match[1]) - 1].address, text)
        for folder in ("/srv/", "/etc/nginx/", "/var/log/"):
            if "include" not in text:
                text = re.sub(f"(?<![\\w/]){folder}", f"{self.directory}{folder}", text)
        if "@PORT@|80|" in text:
            text = text.replace("@PORT@|80|", f"@PORT@|{self.servers[2].address.partition(':')[2]}|")
        return text

    def substitute_back(self, text):
        for number, server in enumerate(self.servers, 1):
            scheme = server.url.partition(":")[0]
            text = text.replace(server.url, f"{scheme}://media-{number}.example.com/")
        return text.replace(f"{self.directory}/", "/")

    def _port(self, match):
        return self.ports.setdefault(match[0], str(free_port()))

    def _url(self, match):
        return self.servers[int(match[1]) - 1].url.rstrip("/")


def _timeless(line):
    return re.sub(r"[\d.]+ ms", "ms", re.sub(r" +", " ", line))


def start_servers(factory):
    """Start media servers as the pages assume them: with the directories of their base URLs."""
    servers = [factory() for _ in range(3)]
    for server in servers:
        for directory in ("media", "static", "check"):
            server.create_file(f"{directory}/first", b"")
            server.delete_file(f"{directory}/first")  # the directory stays
    return servers
