"""Plugins of real packages: metadata and modules on the path."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto import hookimpl, plugins
from resto.exceptions import ConfigurationError
from resto.executors import Executor
from resto.executors.inline import InlineExecutor
from resto.executors.thread import ThreadExecutor
from resto.outcomes import Outcome
from resto.plugins import create_plugin_manager, get_plugin_manager
from resto.storage import DistributedStorage, HybridStorage
from resto.transports import Transport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


pytest_plugins = ["kit.packages"]

OUTCOME = Outcome("upload", "media-1", "a.txt", 0.1)

MEMORY = """
    import io
    from resto import hookimpl
    from resto.transports import Transport

    class MemoryTransport(Transport):
        files = {}

        def open(self, host, name):
            return io.BytesIO(self.files[host, name])

        def exists(self, host, name):
            return (host, name) in self.files

        def size(self, host, name):
            return len(self.files[host, name])

        def create(self, host, name, content):
            existed = self.exists(host, name)
            self.files[host, name] = content if isinstance(content, bytes) else content.read()
            return existed

        def delete(self, host, name):
            return self.files.pop((host, name), None) is not None

    @hookimpl
    def resto_register_transports():
        return {"memory": MemoryTransport}
"""

COUNTING = """
    from resto import hookimpl
    from resto.executors.inline import InlineExecutor

    class CountingExecutor(InlineExecutor):
        jobs = 0

        def run(self, jobs):
            CountingExecutor.jobs += len(jobs)
            return super().run(jobs)

    @hookimpl
    def resto_register_executors():
        return {"counting": "resto_counting.CountingExecutor"}
"""

OBSERVER = """
    from resto import hookimpl
    outcomes = []

    @hookimpl
    def resto_action_finished(outcome):
        outcomes.append(outcome)
"""

BROKEN = "raise RuntimeError('not today')"
CANCELLED = "import asyncio; raise asyncio.CancelledError"


def claim(kind, **offers):
    return f"""
        from resto import hookimpl

        @hookimpl
        def resto_register_{kind}():
            return {offers}
    """


@pytest.fixture
def run_site(tmp_path, write_package):
    """Run a program of a site that has a package with a plugin, which tells when it is loaded."""
    write_package(tmp_path, "resto-telling", "import os; os.write(1, b'loaded ')")

    def run(program):
        start = """
            import sys
            from django.conf import settings
            settings.configure(MEDIA_URL="/media/")
            from resto.storage import DistributedStorage
            storage = DistributedStorage(["127.0.0.1:1"])
        """
        code = textwrap.dedent(start) + textwrap.dedent(program)
        env = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


@pytest.mark.parametrize(("name", "transport"), [("http", HttpTransport), ("webdav", WebDAVTransport)])
def test_bundled_transport(name, transport):
    assert get_plugin_manager().transport(name) is transport


@pytest.mark.parametrize(("name", "executor"), [("inline", InlineExecutor), ("thread", ThreadExecutor)])
def test_bundled_executor(name, executor):
    assert get_plugin_manager().executor(name) is executor


def test_manager_is_one_for_the_process():
    assert get_plugin_manager() is get_plugin_manager()


def test_forked_child_has_a_manager_of_its_own(run_site):
    program = """
        import os
        from resto.plugins import get_plugin_manager

        manager = get_plugin_manager()
        child = os.fork()
        if not child:
            os._exit(get_plugin_manager() is manager)
        print(os.waitpid(child, 0)[1])
    """
    assert run_site(program) == ["0"]


def test_plugins_are_used_by_name_in_storages(install, settings):
    install("resto-memory", MEMORY)
    install("resto-counting", COUNTING)
    options = {"hosts": ["media-1", "media-2"], "transport": "memory", "executor": "counting"}
    settings.STORAGES = {"media": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    storages["media"].save("a.txt", ContentFile(b"content"))
    with storages["media"].open("a.txt") as file:
        assert file.read() == b"content"
    from resto_counting import CountingExecutor
    from resto_memory import MemoryTransport

    assert set(MemoryTransport.files) == {("media-1", "a.txt"), ("media-2", "a.txt")}
    assert CountingExecutor.jobs >= 2


def test_installed_plugins_can_be_left_out(install):
    install("resto-memory", MEMORY)
    with pytest.raises(ConfigurationError, match="no transport named 'memory'; known: directory, http, webdav"):
        create_plugin_manager(load_installed=False).transport("memory")


def test_dotted_path():
    assert get_plugin_manager().transport("resto.transports.http.HttpTransport") is HttpTransport
    assert get_plugin_manager().executor("resto.executors.inline.InlineExecutor") is InlineExecutor


def test_class():
    assert get_plugin_manager().transport(HttpTransport) is HttpTransport
    assert get_plugin_manager().executor(InlineExecutor) is InlineExecutor


@pytest.mark.parametrize("path", ["resto.transports.http.Missing", "missing.Transport", "a.b", ".http", "http.", "."])
def test_dotted_path_that_cannot_be_imported(path):
    with pytest.raises(ConfigurationError, match="cannot be imported") as caught:
        get_plugin_manager().transport(path)
    assert caught.value.code == "E006"
    assert "Check the dotted path" in caught.value.hint


@pytest.mark.parametrize(("name", "needed"), [("rq", "rq>=3.0"), ("celery", "celery>=5.5")])
def test_bundled_executor_whose_package_is_missing(monkeypatch, name, needed):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"resto.executors.{name}", raising=False)
    with pytest.raises(
        ConfigurationError, match=f"the executor '{name}' of resto.executors cannot be imported"
    ) as caught:
        get_plugin_manager().executor(name)
    assert f"pip install '{needed}'" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (BROKEN, "RuntimeError: not today"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        (CANCELLED, "CancelledError: "),
    ],
)
def test_dotted_path_of_a_module_that_fails(install, source, problem):
    """Whatever the module raises."""
    install("resto-broken", source)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        get_plugin_manager().executor("resto_broken.Executor")
    assert caught.value.code == "E007"


@pytest.mark.parametrize(
    "choice", [InlineExecutor, 42, None, HttpTransport("/"), "resto.executors.inline.InlineExecutor", "os.path"]
)
def test_transport_of_the_wrong_type(choice):
    with pytest.raises(ConfigurationError, match=r"is not a subclass of resto\.transports\.base\.Transport") as caught:
        get_plugin_manager().transport(choice)
    assert caught.value.code == "E006"
    assert caught.value.hint


def test_executor_of_the_wrong_type():
    with pytest.raises(ConfigurationError, match=r"is not a subclass of resto\.executors\.base\.Executor") as caught:
        get_plugin_manager().executor(HttpTransport)
    assert caught.value.code == "E007"


def test_transport_with_missing_methods():
    class HalfTransport(Transport):
        def open(self, host, name):
            raise NotImplementedError

    with pytest.raises(ConfigurationError, match="lacks create, delete, exists, size"):
        get_plugin_manager().transport(HalfTransport)


def test_contract_itself_is_no_executor():
    with pytest.raises(ConfigurationError, match="lacks run, submit"):
        get_plugin_manager().executor(Executor)


def test_unknown_name_lists_the_known_ones(install):
    install("resto-memory", MEMORY)
    with pytest.raises(
        ConfigurationError, match="no transport named 'ftp'; known: directory, http, memory, webdav"
    ) as caught:
        get_plugin_manager().transport("ftp")
    assert caught.value.hint == "Name one of these, or install the package that offers it."
    assert caught.value.code == "E006"


def test_misspelt_name_gets_no_advice_to_install_a_package(install):
    """Anybody could publish one under that name."""
    with pytest.raises(ConfigurationError) as caught:
        get_plugin_manager().transport("webdaf")
    assert caught.value.hint == "Did you mean 'webdav'?"


@pytest.mark.parametrize("source", [BROKEN, CANCELLED, "import sys; sys.exit(3)", "import resto_missing", "1 +"])
def test_plugin_that_is_broken_hurts_nobody_else(install, source, caplog):
    install("resto-broken", source)
    install("resto-memory", MEMORY)
    assert get_plugin_manager().transport("memory").__name__ == "MemoryTransport"
    assert [*get_plugin_manager().load_errors] == ["resto_broken of resto-broken 1.0"]
    assert "Failed to load plugin resto_broken of resto-broken 1.0" in caplog.text


def test_unknown_name_tells_what_failed_to_load(install):
    install("resto-broken", BROKEN)
    with pytest.raises(
        ConfigurationError, match=r"resto_broken of resto-broken 1\.0 failed to load: RuntimeError"
    ) as caught:
        get_plugin_manager().transport("broken")
    assert "pip install" not in caught.value.hint, "it is installed"


@pytest.mark.parametrize(
    "source", [MEMORY.replace("@hookimpl", ""), "", "from resto import hookimpl"], ids=["unmarked", "empty", "unused"]
)
def test_plugin_that_offers_nothing_is_reported(install, source):
    install("resto-memory", source)
    with pytest.raises(ConfigurationError, match=r"is @resto\.hookimpl missing\?"):
        get_plugin_manager().transport("memory")
    assert [*get_plugin_manager().load_errors] == ["resto_memory of resto-memory 1.0"]


def test_bundled_name_does_not_load_a_broken_plugin(install):
    install("resto-broken", BROKEN)
    assert get_plugin_manager().transport("http") is HttpTransport
    assert get_plugin_manager().load_errors == {}


def test_clash_names_both_plugins(install):
    install("resto-one", claim("transports", ftp="one.Transport"))
    install("resto-two", claim("transports", ftp="two.Transport"))
    with pytest.raises(ConfigurationError, match="'ftp' is claimed by") as caught:
        get_plugin_manager().transport("ftp")
    assert "resto_one of resto-one 1.0" in str(caught.value)
    assert "resto_two of resto-two 1.0" in str(caught.value)
    assert caught.value.hint == "Uninstall one of them."


def test_clash_does_not_hurt_other_names(install):
    install("resto-one", claim("transports", ftp="one.Transport", here="resto.transports.http.HttpTransport"))
    install("resto-two", claim("transports", ftp="two.Transport"))
    assert get_plugin_manager().transport("here") is HttpTransport


@pytest.mark.parametrize("options", ["", "(tryfirst=True)", "(trylast=True)"])
def test_bundled_name_cannot_be_shadowed(install, options):
    source = claim("transports", http="resto.transports.webdav.WebDAVTransport")
    install("resto-greedy", source.replace("@hookimpl", f"@hookimpl{options}"))
    manager = get_plugin_manager()
    manager.load_entry_points()
    assert manager.transport("http") is HttpTransport


def test_executor_and_transport_may_share_a_name(install):
    install("resto-one", claim("transports", thread="resto.transports.http.HttpTransport"))
    assert get_plugin_manager().transport("thread") is HttpTransport
    assert get_plugin_manager().executor("thread") is ThreadExecutor


def test_offered_class_of_the_wrong_type(install):
    install("resto-wrong", claim("transports", ftp="resto.executors.inline.InlineExecutor"))
    with pytest.raises(
        ConfigurationError, match=r"'ftp' of resto_wrong of resto-wrong 1\.0 is not a subclass"
    ) as caught:
        get_plugin_manager().transport("ftp")
    assert caught.value.hint == "Update or uninstall resto-wrong, and tell its authors."


BAD_CONSTRUCTOR = """
    import asyncio
    from resto import hookimpl
    from resto.transports.http import HttpTransport

    class BadTransport(HttpTransport):
        def __init__(self, base_url, *, timeout, account=None, **options):
            super().__init__(base_url, timeout=timeout, **options)
            if account:
                ACT

    @hookimpl
    def resto_register_transports():
        return {"bad": BadTransport}
"""


@pytest.mark.parametrize(
    ("act", "raised"),
    [
        ("{}['port']", "raised KeyError: 'port'"),
        ("{}[[]]", "raised TypeError: "),
        ("len()", "raised TypeError: "),
        ("raise RuntimeError", "raised RuntimeError"),
        ("exit(1)", "raised SystemExit: 1"),
        ("raise asyncio.CancelledError", "raised CancelledError"),
    ],
)
@pytest.mark.parametrize(
    ("choice", "who"),
    [
        ("bad", "the transport resto_bad.BadTransport of resto-bad 1.0 raised "),
        ("resto_bad.BadTransport", "the transport resto_bad.BadTransport raised "),
    ],
)
def test_constructor_that_fails_is_named(install, choice, who, act, raised):
    install("resto-bad", BAD_CONSTRUCTOR.replace("ACT", act))
    with pytest.raises(ConfigurationError) as caught:
        get_plugin_manager().create_transport(choice, "/media/", timeout=2, account="media")
    assert caught.value.problem.startswith(who)
    assert raised in caught.value.problem
    assert caught.value.code == "E001"


@pytest.mark.parametrize("options", [{"acount": "media"}, {"base_url": "/"}, {"choice": 1}], ids=repr)
def test_options_that_a_transport_does_not_have(install, options):
    """Whichever constructor finds out."""
    install("resto-bad", BAD_CONSTRUCTOR.replace("ACT", "pass"))
    with pytest.raises(ConfigurationError, match="wrong transport_options: ") as caught:
        get_plugin_manager().create_transport("bad", "/media/", timeout=2, **options)
    assert caught.value.code == "E008"


def test_constructor_of_an_executor_that_fails_is_named():
    class BadExecutor(InlineExecutor):
        def __init__(self):
            raise RuntimeError("no licence")

    with pytest.raises(ConfigurationError, match=r"the executor .*BadExecutor raised RuntimeError: no licence"):
        get_plugin_manager().create_executor(BadExecutor)


@pytest.mark.parametrize(
    ("identify", "problem"),
    [
        (lambda self, host: None, "returned None instead of a string"),
        (lambda self, host: [host], "returned ['media-1'] instead of a string"),
        (lambda self, host: {}[host], "raised KeyError: 'media-1'"),
        (lambda self, host: sys.exit(1), "raised SystemExit: 1"),
    ],
)
def test_host_without_identity_is_blamed_on_the_transport(identify, problem):
    transport = type("BadTransport", (HttpTransport,), {"identify": identify, "__module__": "resto_bad"})
    (told,) = DistributedStorage(["media-1", "media-2"], "/", transport=transport).problems()
    assert told.problem == f"resto_bad.BadTransport.identify, asked for host 'media-1', {problem}"


def test_offered_class_with_missing_methods(install):
    install("resto-half", claim("transports", ftp="resto.transports.Transport"))
    with pytest.raises(ConfigurationError, match="lacks create, delete, exists, open, size") as caught:
        get_plugin_manager().transport("ftp")
    assert caught.value.hint == "Update or uninstall resto-half, and tell its authors."


def test_offered_path_that_cannot_be_imported(install):
    install("resto-wrong", claim("transports", ftp="missing.Transport"))
    with pytest.raises(
        ConfigurationError, match=r"'ftp' of resto_wrong of resto-wrong 1\.0 cannot be imported"
    ) as caught:
        get_plugin_manager().transport("ftp")
    assert caught.value.hint == (
        "Update or uninstall resto-wrong, and tell its authors: ModuleNotFoundError: No module named 'missing'"
    )


def test_offered_path_whose_module_needs_another_package(install, tmp_path):
    install("resto-needy", claim("transports", ftp="resto_needy_ftp.Transport"))
    (tmp_path / "resto_needy_ftp.py").write_text("import resto_missing.ftp")
    with pytest.raises(ConfigurationError, match="cannot be imported") as caught:
        get_plugin_manager().transport("ftp")
    assert caught.value.hint == (
        "Install the module 'resto_missing' that it needs; its package may have an extra for that: "
        "ModuleNotFoundError: No module named 'resto_missing'"
    )


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("['ftp']", "returned list, a mapping is needed"),
        ("None", "returned NoneType, a mapping is needed"),
        ("{21: 'ftp.Transport'}", "a key that is not a string"),
        ("1 / 0", "division by zero"),
        ("exit(3)", "SystemExit"),
        ("(_ for _ in ()).throw(GeneratorExit)", "GeneratorExit"),
    ],
)
def test_hook_that_returns_something_else(install, returned, problem):
    """It is reported, and hurts nobody else."""
    install("resto-memory", MEMORY)
    install("resto-wrong", claim("transports").replace("{}", returned))
    with pytest.raises(ConfigurationError, match=problem):
        get_plugin_manager().transport("ftp")
    assert get_plugin_manager().transport("memory").__name__ == "MemoryTransport"
    assert [*get_plugin_manager().load_errors] == ["resto_wrong of resto-wrong 1.0"]


@pytest.mark.parametrize(
    "source",
    [claim("transprots", ftp="ftp.Transport"), OBSERVER.replace("(outcome)", "(result)")],
    ids=["name", "argument"],
)
def test_misspelt_hook(install, source):
    """It is reported, and nothing of the plugin is used."""
    install("resto-memory", MEMORY)
    install("resto-misspelt", source)
    manager = get_plugin_manager()
    assert manager.transport("memory").__name__ == "MemoryTransport"
    assert [*manager.load_errors] == ["resto_misspelt of resto-misspelt 1.0"]
    assert not manager._pluggy.has_plugin("resto_misspelt of resto-misspelt 1.0")


def test_observer_is_told(install):
    install("resto-observer", OBSERVER)
    get_plugin_manager().notify(OUTCOME)
    import resto_observer

    assert resto_observer.outcomes == [OUTCOME]


def test_observer_may_leave_out_the_outcome(install):
    install("resto-observer", OBSERVER.replace("(outcome)", "()", 1).replace("append(outcome)", "append(1)"))
    get_plugin_manager().notify(OUTCOME)
    import resto_observer

    assert resto_observer.outcomes == [1]


def test_observer_that_raises_is_logged_and_harmless(install, caplog):
    install("resto-one", OBSERVER)
    install("resto-raising", OBSERVER.replace("outcomes.append(outcome)", "1 / 0"))
    install("resto-two", OBSERVER)
    get_plugin_manager().notify(OUTCOME)
    import resto_one
    import resto_two

    assert resto_one.outcomes == resto_two.outcomes == [OUTCOME]
    [record] = caplog.records
    assert record.getMessage() == "Plugin resto_raising of resto-raising 1.0 failed in resto_action_finished."
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("error", ["SystemExit", "asyncio.CancelledError", "GeneratorExit"])
def test_observer_that_wants_to_end_everything_ends_nothing(install, media_root, resto_server_factory, caplog, error):
    """What the hosts have been asked for is done: a save that ended here would leave it unsettled."""
    server = resto_server_factory()
    storage = HybridStorage([server.url])
    install(
        "resto-ending",
        "import asyncio\n" + textwrap.dedent(OBSERVER).replace("outcomes.append(outcome)", f"raise {error}"),
    )
    assert storage.save("a.txt", ContentFile(b"content")) == "a.txt"
    assert server.get_file("a.txt") == b"content"
    assert "Plugin resto_ending of resto-ending 1.0 failed in resto_action_finished." in caplog.text


@pytest.mark.parametrize(
    ("source", "act"),
    [
        ("raise KeyboardInterrupt", lambda manager: manager.load_entry_points()),
        ("raise KeyboardInterrupt", lambda manager: manager.executor("resto_interrupted.Executor")),
        (claim("transports").replace("{}", "interrupt()"), lambda manager: manager.transport("ftp")),
        (OBSERVER.replace("outcomes.append(outcome)", "interrupt()"), lambda manager: manager.notify(OUTCOME)),
    ],
    ids=["plugin", "path", "offer", "observer"],
)
def test_interruption_is_that_of_who_works_at_the_keyboard(install, source, act):
    interrupt = "\n\ndef interrupt():\n    raise KeyboardInterrupt\n"
    install("resto-interrupted", textwrap.dedent(source) + interrupt)
    with pytest.raises(KeyboardInterrupt):
        act(get_plugin_manager())


def test_broken_plugin_does_not_hurt_observers(install):
    install("resto-broken", BROKEN)
    install("resto-observer", OBSERVER)
    get_plugin_manager().notify(OUTCOME)
    import resto_observer

    assert resto_observer.outcomes == [OUTCOME]


def test_plugins_are_loaded_once(install):
    install("resto-counted", "import builtins; builtins.resto_loads = getattr(builtins, 'resto_loads', 0) + 1")
    import builtins

    for _ in range(3):
        get_plugin_manager().load_entry_points()
    assert builtins.resto_loads == 1
    del builtins.resto_loads


def test_plugin_may_use_resto_while_it_is_loaded(install):
    install("resto-memory", MEMORY)
    eager = "from resto.plugins import get_plugin_manager as get; got = get().transport('memory')\n"
    install("resto-eager", eager + textwrap.dedent(OBSERVER))
    install("resto-second", eager + textwrap.dedent(OBSERVER))
    get_plugin_manager().load_entry_points()
    assert get_plugin_manager().load_errors == {}


def test_plugin_that_another_thread_is_loading_is_waited_for(install):
    install("resto-memory", "import threading; go = threading.Event(); go.wait(10)" + textwrap.dedent(MEMORY))
    found = []

    def find():
        found.append(get_plugin_manager().transport("memory").__name__)

    threads = [threading.Thread(target=find), threading.Thread(target=find)]
    threads[0].start()
    while not hasattr(sys.modules.get("resto_memory"), "go"):
        threads[0].join(0.001)
    threads[1].start()
    threads[1].join(0.2)  # as long as it would take to find nothing
    sys.modules["resto_memory"].go.set()
    for thread in threads:
        thread.join(10)
    assert found == ["MemoryTransport"] * 2


def test_bundled_plugins_load_no_entry_point(run_site):
    assert run_site("storage.transport_for('127.0.0.1:1'), storage.executor") == []


def test_bundled_plugins_import_no_optional_package(run_site):
    program = """
        storage.transport_for("127.0.0.1:1").identify("127.0.0.1:1"), storage.executor
        print(*{"requests", "rq", "celery", "redis"} & set(sys.modules))
    """
    assert run_site(program) == []


def test_observers_are_loaded_by_the_first_action(run_site):
    program = """
        try:
            storage.exists("a.txt")
        except OSError:
            print("refused")
    """
    assert run_site(program) == ["loaded", "refused"]


# What is bundled, and asked for by a site; processes that are forked are tested with `resto.metrics`.


class Bundled:
    @hookimpl
    def resto_action_finished(self, outcome):
        pass


def test_bundled_plugin_that_is_asked_for(monkeypatch):
    """Its origin is resto, and asking twice is asking once."""
    monkeypatch.setattr(plugins, "_asked_for", {})
    manager, bundled = create_plugin_manager(load_installed=False), Bundled()
    for _ in range(2):
        manager.add_bundled("resto.metrics", bundled)
    (one,) = manager.implementations("resto_action_finished")
    assert manager.origin(one.plugin_name)[0] == "django-resto-storage"
    get_plugin_manager.cache_clear()
    assert bundled in [one.plugin for one in get_plugin_manager().implementations("resto_action_finished")]
    get_plugin_manager.cache_clear()
