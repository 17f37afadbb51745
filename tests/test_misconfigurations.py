"""Ways to get the settings wrong, each tried on a site that is right otherwise: what `check`, a save and the probe say of it."""

import io
import re
import ssl
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
import trustme
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, storages
from django.core.management import CommandError, call_command

from resto.exceptions import ConfigurationError, ReplicationError
from resto.offers import EXECUTOR, HANDING_OVER, import_class


pytestmark = pytest.mark.django_db

FINE = ""


@dataclass
class Case:
    """One thing that is wrong.

    Attributes:
        what: It, in words.
        change: Makes it so; called with the site.
        check: What `manage.py check` says, a regular expression; `FINE` if nothing.
        save: The same, of what a save raises; None if that is the same as for `check`.
        probe: The same, of `manage.py resto_status --probe`; None if it is not tried.
    """

    what: str
    change: Callable[[SimpleNamespace], object]
    check: str = FINE
    save: str | None = None
    probe: str | None = None


def option(**options):
    return lambda site: site.options.update(options)


def setting(**values):
    return lambda site: [setattr(site.settings, name, value) for name, value in values.items()]


def hosts(*values):
    """Hosts; ``{0}`` stands for the address of the first server, without its scheme."""
    return lambda site: site.options.update(hosts=[_filled(value, site) for value in values])


def _filled(value, site):
    address = site.servers[0].address
    if isinstance(value, dict):
        return value | {"url": value["url"].format(address)} if "url" in value else value
    return value.format(address)


def together(*changes):
    return lambda site: [change(site) for change in changes]


def server(**knobs):
    """The first server misbehaves."""
    return lambda site: [setattr(site.servers[0], name, value) for name, value in knobs.items()]


def tls(*names, trusted=True, scheme="https", **validity):
    """The first host has TLS."""

    def change(site):
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ["127.0.0.1"]), **validity).configure_cert(context)
        authority.cert_pem.write_to_path(str(site.tmp_path / "ca.pem"))
        address = site.make(ssl_context=context, **({"credentials": ("site", "right")} if site.secret else {})).address
        host = {"url": f"{scheme}://{address}/"}
        host |= {"ca_bundle": str(site.tmp_path / "ca.pem")} if trusted else {}
        host |= {"auth": "media"} if site.secret else {}
        site.options["hosts"] = [host, site.servers[1].url]

    return change


def with_secret(secret, change):
    def changed(site):
        site.secret = secret
        site.settings.RESTO_SECRETS = {"media": ("site", secret)}
        change(site)

    return changed


def storage(name, **options):
    def change(site):
        site.backend = f"resto.storage.{name}"
        site.options.update(options)

    return change


def shared_directory(site):
    served = site.make(root=site.settings.MEDIA_ROOT)
    site.options["hosts"] = [served.url, site.servers[1].url]


def other_storage(**options):
    def change(site):
        site.others["other"] = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": site.options | options}

    return change


def location_is_a_file(site):
    site.tmp_path.joinpath("file").touch()
    site.settings.MEDIA_ROOT = str(site.tmp_path / "file")


def bare_host(site):
    site.settings.MEDIA_URL = "/"
    site.options |= {"hosts": [site.servers[0].address], "base_url": "http://www.example.com/"}


def only_put(site):
    site.options["hosts"] = [site.make(webdav=False).url]


def two_names(site):
    url = site.servers[0].url
    site.options["hosts"] = [url, url.replace("127.0.0.1", "localhost")]


TYPED = "it has hosts, base_url, location, .*allow_overwrite, fatal_exceptions, .*executor_options"
TRUST = "failed on 1 of 2 hosts: .*its certificate is not trusted: "
PAST = {"not_before": datetime.now(UTC) - timedelta(days=9), "not_after": datetime.now(UTC) - timedelta(days=1)}
HTTPS = r"does (it|the server) want https://, a client certificate, or another hostname\?"
WORKS = "Files can be written, read, replaced and deleted"

CASES = [
    Case("an option is mistyped", option(host=["media-1"]), f"E001.*no option host; {TYPED}.*Did you mean 'hosts'"),
    Case("another one", option(fatal_exception=False), f"E001.*{TYPED}.*Did you mean 'fatal_exceptions'"),
    Case(
        "an option of one host is mistyped",
        hosts({"url": "http://{0}/", "timout": 3}),
        "E008.*host 'http://127.*/': wrong transport_options: WebDAVTransport has no option timout; it has timeout, .*'timeout'",
    ),
    Case(
        "the address of a host is mistyped",
        hosts({"ulr": "http://{0}/"}),
        "E003.*a host with the keys ulr has no address",
    ),
    Case(
        "a setting is mistyped",
        setting(RESTO_FATAL_EXCEPTION=False),
        "W010.*mean 'RESTO_FATAL_EXCEPTIONS'",
        FINE,
        WORKS,
    ),
    Case(
        "hosts is a string",
        option(hosts="media-1"),
        r"E003.*hosts must be a list, not of type str.*Did you mean \['media-1'\]\?",
    ),
    Case(
        "hosts is a string of several",
        option(hosts="http://a/,http://b/ ; c"),
        r"E003.*hosts must be a list, not of type str.*Did you mean \['http://a/', 'http://b/', 'c'\]\?",
    ),
    Case(
        "they hold a secret",
        option(hosts="http://me:se,cret@a/,http://b/"),
        r"E003.*Did you mean \['\*\*\*@a/,http://b/'\]\?",
    ),
    Case(
        "the directory stands where the hosts should, as with Django's storage",
        option(hosts="/srv/p,q"),
        "E003.*hosts must be a list, not of type str.*Did you mean location='/srv/p,q'\\? The first argument is a list of hosts",
    ),
    Case(
        "so it does as a path",
        option(hosts=PurePosixPath("/srv/p")),
        "E003.*hosts must be a list, not of type PurePosixPath.*Did you mean location='/srv/p'",
    ),
    Case("hosts is 'None'", option(hosts="None"), "E003.*hosts must be a list.*Did you mean 'none'"),
    Case(
        "'none' is in the list",
        option(hosts=["none"]),
        "E003.*'none' stands in the place of the list of hosts, not in it.*Let hosts be 'none'",
    ),
    Case(
        "hosts is a generator",
        lambda site: site.options.update(hosts=iter(["media-1"])),
        "E003.*hosts must be a list, not of type list_iterator.*make it a list",
    ),
    Case("the path of a host leads up", hosts("http://{0}/../x/"), "E003.*must not have parts that are '.' or '..'"),
    Case("the same, escaped", hosts("http://{0}/%2E%2e/x/"), "E003.*must not have parts that are '.' or '..'"),
    Case("half an escape in a host", hosts("http://{0}/%zz/"), "E003.*not followed by two hexadecimal digits"),
    Case("base_url is a number", option(base_url=3), "E003.*base_url must be a string, not of type int.*Set MEDIA_URL"),
    Case("MEDIA_URL is no URL", setting(MEDIA_URL="http://[x/"), "E003.*base_url is not a URL.*Set MEDIA_URL"),
    Case(
        "a boolean is a string",
        option(fatal_exceptions="False"),
        "E027.*fatal_exceptions must be True or False, not 'False'.*A string is true",
    ),
    Case(
        "a setting that is a boolean is a string",
        setting(RESTO_SHOW_TRACEBACK="off"),
        "E027.*show_traceback must be True or False, not 'off'",
    ),
    Case("allow_overwrite is a string", option(allow_overwrite="no"), "E027.*allow_overwrite must be True or False"),
    Case(
        "a mode is a string",
        option(file_permissions_mode="0o644"),
        "E027.*file_permissions_mode, or FILE_UPLOAD_PERMISSIONS, must be a mode, not '0o644'.*such as 0o644",
    ),
    Case(
        "a mode is decimal",
        option(file_permissions_mode=644),
        "E027.*file_permissions_mode, or .* is 644, which is the mode 0o1204.*such as 0o644",
    ),
    Case(
        "a setting that is a mode is decimal",
        setting(FILE_UPLOAD_DIRECTORY_PERMISSIONS=2755),
        "E027.*directory_permissions_mode, or .* is 2755, which is the mode 0o5303.*such as 0o2755",
    ),
    Case("location is a number", option(location=3), "E027.*location must be a path, not 3.*such as '/srv/media'"),
    Case(
        "MEDIA_ROOT is the root", setting(MEDIA_ROOT="/tmp/.."), "E024.*is '/', whose files would all be sent.*one of"
    ),
    Case(
        "MEDIA_ROOT is a URL", setting(MEDIA_ROOT="http://media-1/"), "E024.*'http://media-1/' is a URL, and should be"
    ),
    Case("MEDIA_ROOT is a number", setting(MEDIA_ROOT=3), "E027.*MEDIA_ROOT must be a path, not 3", "not int"),
    Case(
        "the lease has no end",
        setting(RESTO_LEASE=float("inf")),
        "E014.*RESTO_LEASE is inf and RESTO_GRACE 60",
    ),
    Case("the grace is no number", setting(RESTO_GRACE=float("nan")), "E014.*RESTO_GRACE nan"),
    Case(
        "the database of the record is mistyped",
        setting(RESTO_DATABASE="nope"),
        "^resto.E013.*RESTO_DATABASE names the database 'nope', which DATABASES does not have.*It has: default[^E]*$",
    ),
    Case(
        "it is None",
        setting(RESTO_DATABASE=None),
        "^resto.E013.*the database None, which DATABASES does not have.*It has: default[^E]*$",
    ),
    Case(
        "a password has the end of a line",
        with_secret("secret\n", option(transport_options={"auth": "media"})),
        r"E008.*the password in the credential ends with the end of a line.*read_text\(\).strip\(\)",
    ),
    Case(
        "a password is empty",
        with_secret("", option(transport_options={"auth": "media"})),
        "E008.*the password in the credential is empty.*Is the variable of the environment set",
    ),
    Case(
        "a token is empty",
        together(setting(RESTO_SECRETS={"media": ""}), option(transport_options={"auth": "media"})),
        "E008.*the token in the credential is empty",
    ),
    Case(
        "auth_scheme without auth",
        option(transport_options={"auth_scheme": "digest"}),
        "E008.*auth_scheme is given without auth.*Name a credential of RESTO_SECRETS with 'auth'",
    ),
    Case(
        "a session is made by something else",
        option(transport_options={"session": int}),
        "E008.*session must be a requests.Session or a callable that makes one",
    ),
    Case(
        "an option of another transport",
        option(transport="http", transport_options={"publish": "move"}),
        "E008.*HttpTransport has no option publish; .*'publish' is an option of the transport 'webdav'",
    ),
    Case(
        "the prefix of a setting is mistyped",
        setting(RETSO_TIMEOUT=3),
        "W010.*the setting RETSO_TIMEOUT is like one of resto.*Did you mean 'RESTO_TIMEOUT'",
        FINE,
    ),
    Case(
        "the prefix of a setting is missing", setting(MEDIA_HOSTS=["x"]), "W010.*Did you mean 'RESTO_MEDIA_HOSTS'", FINE
    ),
    Case("another package has such a setting", setting(REST_TIMEOUT=3, TIMEOUT=3), FINE),
    Case(
        "OPTIONS is a list",
        lambda site: site.parameters.update(OPTIONS=["media-1"]),
        "^resto.E028.*has OPTIONS that are of type list, and must be a mapping",
        "must be a mapping",
    ),
    Case(
        "OPTIONS is None",
        lambda site: site.parameters.update(OPTIONS=None),
        "^resto.E028.*has OPTIONS that are of type NoneType, and must",
        "must be a mapping",
    ),
    Case(
        "OPTIONS is mistyped",
        lambda site: site.parameters.update(OPTION={"timeout": 3}),
        "E028.*'default'. has a key 'OPTION', which nobody reads.*Did you mean 'OPTIONS'",
        FINE,
    ),
    Case(
        "OPTIONS is in small letters",
        lambda site: site.parameters.update(options={"timeout": 3}),
        "E028.*has a key 'options', which nobody reads.*Did you mean 'OPTIONS'",
        FINE,
    ),
    Case(
        "an option stands beside BACKEND",
        lambda site: site.parameters.update(hosts=["media-1"]),
        "E028.*has a key 'hosts', which nobody reads.*Write it into OPTIONS: {'hosts': ...}",
        FINE,
    ),
    Case(
        "BACKEND is a module",
        lambda site: setattr(site, "backend", "resto.storage"),
        "E023.*'resto.storage' is no class.*Did you mean 'resto.storage.HybridStorage'",
        ".",
    ),
    Case(
        "static files are kept among uploads",
        lambda site: site.others.update(
            staticfiles={"BACKEND": "resto.storage.HybridStorage", "OPTIONS": site.options}
        ),
        "W015.*'staticfiles'. keeps static files in MEDIA_ROOT.*Take resto.staticfiles.StaticFilesStorage",
        FINE,
    ),
    Case("two storages share hosts, and not a directory", other_storage(location="elsewhere"), "E025.*'other'", FINE),
    Case(
        "the port is wrong",
        hosts("http://127.0.0.1:9/"),
        FINE,
        "connection refused",
        "is the server running, and is this",
    ),
    Case(
        "nobody has this name",
        hosts("http://media-1.invalid/"),
        FINE,
        "its name cannot be resolved",
        "name cannot be resolved",
    ),
    Case(
        "the password is wrong",
        with_secret("wrong", tls()),
        FINE,
        "401.*credentials are missing or wrong",
        "RESTO_SECRETS hold",
    ),
    Case("url_from is mistyped", option(url_from="host"), "E031.*url_from is 'host'.*'base_url' or 'hosts'"),
    Case(
        "the key of signed URLs is not there",
        option(sign="nginx", sign_options={"key": "links"}),
        "E032.*no credential of the name that is given as 'key'",
    ),
    Case(
        "the key of signed URLs is a word",
        together(setting(RESTO_SECRETS={"links": "hunter2"}), option(sign="nginx", sign_options={"key": "links"})),
        "E032.*the key that signs URLs is shorter than 22 characters.*openssl rand",
    ),
    Case("signed URLs have no key", option(sign="nginx"), "E032.*sign_options have no name 'key'"),
    Case("TLS and the password are right", with_secret("right", tls()), FINE, FINE, WORKS),
    Case(
        "http to an https port",
        tls(scheme="http", trusted=False),
        FINE,
        "connection broke before an answer",
        "is this its address",
    ),
    Case(
        "http to an https port of nginx", server(refuse_code=400), FINE, f"400 Bad Request: .*{HTTPS}", f"400.*{HTTPS}"
    ),
    Case(
        "https to an http port",
        hosts("https://{0}/"),
        FINE,
        "TLS failed",
        "TLS failed.*does the server speak http:// there",
    ),
    Case("no slash at the end", hosts("http://{0}"), FINE, FINE, WORKS),
    Case("a host without scheme and path", bare_host, FINE, FINE, WORKS),
    Case("MEDIA_URL is empty", setting(MEDIA_URL=""), "W011.*MEDIA_URL is empty.*Set MEDIA_URL", FINE, WORKS),
    Case(
        "the server does not speak WebDAV",
        server(refuse_code=405),
        FINE,
        "405.*not configured for this method",
        "405.*Dav On",
    ),
    Case("WebDAV for a server that knows PUT only", only_put, FINE, FINE, f"{WORKS}.*Its directories cannot be listed"),
    Case(
        "the server wants Digest",
        server(refuse_code=401),
        FINE,
        "401.*option 'auth'",
        "401.*set 'auth_scheme' to 'digest'",
    ),
    Case("a credential has no such name", option(transport_options={"auth": "x"}), "E008.*no credential.*It has: none"),
    Case("a password in a URL", hosts("http://site:secret@{0}/"), "E003.*user information.*RESTO_SECRETS"),
    Case(
        "a password in the options",
        option(transport_options={"auth": ("site", "secret")}),
        "W001.*options contain a credential",
        FINE,
        "Anyone can write there",
    ),
    Case(
        "the server lets nobody write",
        server(readonly=True),
        FINE,
        "403 Forbidden: the server does not allow",
        "403.*let the",
    ),
    Case("the disk is full", server(disk_full=True), FINE, "507.*its disk is full", "507.*its disk is full"),
    Case(
        "the server may not write to its directory",
        server(refuse_code=500, fault_methods={"PUT"}),
        FINE,
        "500.*missing directory, missing permission or a full disk",
        "500.*see its error log",
    ),
    Case(
        "the server takes small files only",
        server(refuse_code=413, fault_methods={"PUT"}),
        FINE,
        "413.*larger than the server accepts",
        "413.*raise the limit of the server.*client_max_body_size",
    ),
    Case(
        "the authority is not trusted",
        tls(trusted=False),
        FINE,
        f"{TRUST}unable to get local",
        "authority as 'ca_bundle'",
    ),
    Case(
        "ca_bundle does not exist",
        option(transport_options={"ca_bundle": "/nonexistent.pem"}),
        "E008.*ca_bundle names a file that",
    ),
    Case("the certificate has expired", tls(**PAST), FINE, f"{TRUST}certificate has expired", "expired; renew it"),
    Case(
        "the certificate is for another name",
        tls("media.example.com"),
        FINE,
        f"{TRUST}.*not valid for",
        "'; give the host the",
    ),
    Case(
        "IPv6 without brackets",
        hosts("2001:db8::1"),
        r"E003.*an IPv6 address stands in brackets.*Write '\[2001:db8::1\]:8080'",
    ),
    Case(
        "IPv6 with brackets",
        hosts("[::1]:9"),
        FINE,
        r"\[::1\]:9: connection refused|\[::1\]:9: ",
        "is the server running",
    ),
    Case(
        "an underscore in the name of a host",
        hosts("media_1.invalid"),
        FINE,
        "its name cannot be resolved",
        "is this its address",
    ),
    Case(
        "two names of one server", two_names, "W014.*seem to be one server.*List each", FINE, "is that the same server"
    ),
    Case("one host twice", hosts("{0}", "http://{0}/media/"), "E004.*are the same.*List each host once"),
    Case(
        "an executor without its server",
        storage("AsyncStorage", executor="rq"),
        "E007.*does not know the Redis.*Give 'url'",
    ),
    Case(
        "celery with Hybrid",
        option(executor="celery"),
        "E009.*waits for its hosts, which the executor 'celery' cannot do.*Async",
    ),
    Case(
        "an executor is mistyped",
        option(executor="thraed"),
        "E007.*no executor named 'thraed'; known: .*Did you mean 'thread'",
    ),
    Case(
        "a transport is mistyped",
        option(transport="webdaw"),
        "E006.*no transport named 'webdaw'.*Did you mean 'webdav'",
    ),
    Case(
        "the path of a transport is mistyped",
        option(transport="resto.transports.webdav.X"),
        "E006.*cannot be imported.*dotted path",
    ),
    Case(
        "BACKEND is mistyped",
        storage("HybridStorge"),
        "E023.*BACKEND 'resto.storage.HybridStorge' cannot be imported.*Did you mean 'resto.storage.HybridStorage'",
        "Could not find backend 'resto.storage.HybridStorge'",
        "BACKEND 'resto.storage.HybridStorge' cannot be imported|No storage of resto",
    ),
    Case("the timeout is a string", option(timeout="5"), "E005.*the timeout must be a positive number, not '5'"),
    Case("MEDIA_ROOT is not set", setting(MEDIA_ROOT=""), "E017.*MEDIA_ROOT is not set.*Set it"),
    Case(
        "MEDIA_ROOT is a file",
        location_is_a_file,
        "E024.*/file is a file, and should be the directory.*Correct MEDIA_ROOT",
    ),
    Case("two storages share hosts and a directory", other_storage(), FINE, FINE, WORKS),
    Case(
        "two storages share a directory, and not their hosts",
        other_storage(hosts=["http://127.0.0.1:9/"]),
        "E021.*'other'.*keeps its files in .*, too, and has other hosts.*Give them the same hosts, or a directory each",
        FINE,
    ),
    Case(
        "a host serves the master copy",
        shared_directory,
        FINE,
        "which is the master copy itself",
    ),
    Case("write_quorum with Hybrid", option(write_quorum=1), f"E001.*no option write_quorum; {TYPED}"),
    Case(
        "write_quorum is more than there are hosts",
        storage("DistributedStorage", write_quorum=3),
        "E015.*write_quorum is 3.*a number from 1 to 2, the number of hosts",
    ),
    Case(
        "Distributed with a transport that cannot list",
        storage("DistributedStorage", transport="http"),
        "W012.*HttpTransport cannot list the files of http.*Take the transport 'webdav'",
        FINE,
    ),
    Case("a host that does not speak HTTP", hosts("ftp://{0}/"), "E003.*must start with http:// or https://"),
    Case(
        "a host is a site that answers 200",
        server(override_code=200),
        FINE,
        "has some",
        "200 OK; something else than the media",
    ),
]


@pytest.fixture
def site(settings, resto_server_factory, media_root, tmp_path, identities_apply):
    media_root.mkdir()
    servers = [resto_server_factory(), resto_server_factory()]
    return SimpleNamespace(
        settings=settings,
        tmp_path=tmp_path,
        make=resto_server_factory,
        servers=servers,
        secret="",
        backend="resto.storage.HybridStorage",
        options={"hosts": [one.url for one in servers], "transport": "webdav", "timeout": 5},
        parameters={},
        others={},
    )


def checked():
    messages = [message for message in checks.run_checks(tags=["files"]) if message.id.startswith("resto.")]
    return "\n".join(f"{message.id} {message.msg} HINT: {message.hint}" for message in messages)


def saved():
    try:
        storages["default"].save("photo.jpg", ContentFile(b"content"))
    except (ConfigurationError, ReplicationError, InvalidStorageError, TypeError) as error:
        if isinstance(error, ReplicationError):
            assert traceback.format_exc().count("Traceback") == 1  # that of the save, and none of what a host did
        return str(error)
    return FINE


def probed():
    out, problems = io.StringIO(), io.StringIO()
    with suppress(SystemExit):
        try:
            call_command("resto_status", "--probe", stdout=out, stderr=problems)
        except CommandError as error:
            return str(error)
    return out.getvalue() + problems.getvalue()


def apply(case, site):
    case.change(site)
    default = {"BACKEND": site.backend, "OPTIONS": site.options, **site.parameters}
    site.settings.STORAGES = {"default": default, **site.others}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_is_said(case, site):
    apply(case, site)
    require_said(case.check, checked())
    require_said(_after_code(case.check) if case.save is None else case.save, saved())
    if case.probe is not None:
        require_said(case.probe, probed())


def require_said(wanted, said):
    assert (not said) if wanted == FINE else re.search(wanted, said, re.DOTALL), said
    assert "secret" not in said


def _after_code(pattern):
    """What a save raises has no code, and its hint in brackets."""
    return pattern.partition(".*")[2]


@pytest.mark.parametrize("name", sorted(HANDING_OVER))
def test_hint_names_what_is_on_the_index(name):
    with pytest.raises(ConfigurationError) as caught:
        import_class(EXECUTOR, "no_such_module.Executor", name, "", name)
    package = re.search("pip install '([a-z-]+)>=", caught.value.hint)[1]
    assert package in {"rq", "celery", "django-tasks"}
