import os
import subprocess
import sys
import traceback
from urllib.parse import urlsplit

import idna
import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from kit.documents import ROOT
from resto.exceptions import ConfigurationError
from resto.hosts import Host, HostURL, parse_hosts, parse_timeout, parse_url


URLS = [
    ("media-1", HostURL("http", "media-1", 80, "/media/")),
    ("media-1:8080", HostURL("http", "media-1", 8080, "/media/")),
    ("media-1:", HostURL("http", "media-1", 80, "/media/")),
    ("media_1:8080", HostURL("http", "media_1", 8080, "/media/")),
    ("192.0.2.1", HostURL("http", "192.0.2.1", 80, "/media/")),
    ("[2001:db8::1]:8080", HostURL("http", "2001:db8::1", 8080, "/media/")),
    ("[2001:DB8:0::1]", HostURL("http", "2001:db8::1", 80, "/media/")),
    ("http://media-1", HostURL("http", "media-1", 80, "/")),
    ("http://media-1/", HostURL("http", "media-1", 80, "/")),
    ("https://media-1/", HostURL("https", "media-1", 443, "/")),
    ("http://media-1:443/", HostURL("http", "media-1", 443, "/")),
    ("https://media-1/files", HostURL("https", "media-1", 443, "/files/")),
    ("https://media-1/files/", HostURL("https", "media-1", 443, "/files/")),
    ("HTTPS://MEDIA-1/Files/", HostURL("https", "media-1", 443, "/Files/")),
    ("http://media-1/a b/é/", HostURL("http", "media-1", 80, "/a%20b/%C3%A9/")),
    ("http://media-1/a%20b/%40/", HostURL("http", "media-1", 80, "/a%20b/%40/")),
    ("http://media-1/files;v=1/", HostURL("http", "media-1", 80, "/files;v=1/")),
    ("http://høst/", HostURL("http", "xn--hst-0na", 80, "/")),
    ("høst:8080", HostURL("http", "xn--hst-0na", 8080, "/media/")),
    ("http://[::1]:8080/", HostURL("http", "::1", 8080, "/")),
    # A server may be called so.
    ("http://unix/", HostURL("http", "unix", 80, "/")),
    ("http://unix:8080/", HostURL("http", "unix", 8080, "/")),
    ("unix:8080", HostURL("http", "unix", 8080, "/media/")),
    # Zones, as RFC 6874 has them, and as most people write them.
    ("http://[fe80::1%25eth0]:8080/", HostURL("http", "fe80::1", 8080, "/", "eth0")),
    ("http://[FE80:0::1%eth0]/", HostURL("http", "fe80::1", 80, "/", "eth0")),
    ("[fe80::1%25En-0.1]", HostURL("http", "fe80::1", 80, "/media/", "En-0.1")),
    # What IDNA 2003 gave to somebody else.
    ("https://faß.de/", HostURL("https", "xn--fa-hia.de", 443, "/")),
    ("FAß.de:8080", HostURL("http", "xn--fa-hia.de", 8080, "/media/")),
    ("https://media_1.straße.example/", HostURL("https", "media_1.xn--strae-oqa.example", 443, "/")),
    ("https://βόλος.example/", HostURL("https", "xn--nxasmm1c.example", 443, "/")),
    ("https://ΒΌΛΟΣ.example/", HostURL("https", "xn--nxasmq6b.example", 443, "/")),
    ("https://müller。example/", HostURL("https", "xn--mller-kva.example", 443, "/")),
]

INVALID = [
    ("", "hostname"),
    ("media-1/files", "neither a full URL nor"),
    ("media 1", "neither a full URL nor"),
    ("media-1:http", "not a URL"),
    ("media-1:-1", "not a URL"),
    ("media-1:65536", "not a URL"),
    ("media-1:0", "port between 1 and 65535"),
    ("http://media-1:80:80/", "not a URL"),
    ("::1", "an IPv6 address stands in brackets"),
    ("[::1", "not a URL"),
    ("http://[media-1]/", "not a URL"),
    ("http://[v1.x]/", "not a URL"),
    ("http://media..1/", "not a URL"),
    ("http://[fe80::1%25]/", "not a URL"),
    ("http://[fe80::1%]/", "not a URL"),
    ("http://[fe80::1%25a%25b]/", "not a URL"),
    ("http://[fe80::1%25a;b]/", "not a URL"),
    ("http://unix:/run/media.sock/", "socket of the file system, which takes the option 'session'"),
    ("unix:/run/media.sock", "socket of the file system, which takes the option 'session'"),
    ("unix:///run/media.sock", "socket of the file system, which takes the option 'session'"),
    ("http+unix://%2Frun%2Fmedia.sock/", "socket of the file system, which takes the option 'session'"),
    (f"http://{'a' * 64}/", "not a URL"),
    (f"http://{'ß' * 60}/", "its name is none of a host"),
    ("https://नी\u200dल.example/", "control characters"),
    ("http://☃.example/", "its name is none of a host: codepoint"),
    ("http://a\u0640b.example/", "its name is none of a host"),
    ("http://ß_a.example/", "its name is none of a host"),
    ("http://ß%2d.example/", "its name is none of a host"),
    ("http://media%2d1/", "not a URL"),
    ("media\\1", "not a URL"),
    ("http:///files/", "needs a hostname"),
    ("http://:8080/", "needs a hostname"),
    ("ftp://media-1/", "must start with http"),
    ("ws://media-1/", "must start with http"),
    ("://media-1/", "must start with http"),
    ("http://media-1/?query", "query or fragment"),
    ("http://media-1/?", "query or fragment"),
    ("http://media-1/#fragment", "query or fragment"),
    ("http://media-1/#", "query or fragment"),
    ("media-1?query", "query or fragment"),
    (" media-1", "white space"),
    ("http://media-1/\n", "white space"),
    ("http://med\nia/", "white space"),
    ("http://med\tia/", "white space"),
    ("http://media-1/\0", "white space"),
    ("http://media-1/\udcff", "white space"),
    ("http://user:secret@media-1/", "user information"),
    ("http://user@media-1/", "user information"),
    ("http://@media-1/", "user information"),
    ("user:secret@media-1", "user information"),
]


@pytest.mark.parametrize(("address", "url"), URLS)
def test_parse_url(address, url):
    assert parse_url(address, "/media/") == url


@pytest.mark.parametrize(("address", "problem"), INVALID)
def test_parse_url_invalid(address, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_url(address, "/media/")
    assert caught.value.hint
    assert caught.value.code == "E003"


@pytest.mark.parametrize(("address", "_"), URLS)
def test_url_of_a_host_parses_to_itself(address, _):
    url = parse_url(address, "/media/")
    assert parse_url(str(url), "/elsewhere/") == url


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (HostURL("http", "media-1", 80, "/"), "http://media-1/"),
        (HostURL("https", "media-1", 443, "/files/"), "https://media-1/files/"),
        (HostURL("http", "media-1", 8080, "/"), "http://media-1:8080/"),
        (HostURL("https", "::1", 443, "/"), "https://[::1]/"),
        (HostURL("https", "::1", 80, "/"), "https://[::1]:80/"),
        (HostURL("http", "fe80::1", 8080, "/", "eth0"), "http://[fe80::1%25eth0]:8080/"),
    ],
)
def test_text_of_url(url, text):
    assert str(url) == text


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("/media/", "http://media-1/media/"),
        ("/media", "http://media-1/media/"),
        ("media/", "http://media-1/media/"),
        ("", "http://media-1/"),
        ("/", "http://media-1/"),
        ("http://cdn.example.com/media/", "http://media-1/media/"),
        ("https://cdn.example.com/media/", "https://media-1/media/"),
        ("https://cdn.example.com", "https://media-1/"),
        ("//cdn.example.com/media/", "http://media-1/media/"),
        ("https://user:secret@cdn.example.com:8443/media/", "https://media-1/media/"),
    ],
)
def test_short_address_takes_scheme_and_path_of_base_url(base_url, url):
    assert str(parse_url("media-1", base_url)) == url


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("/media/?query", "base_url must not contain a query or fragment"),
        ("/media/#fragment", "base_url must not contain a query or fragment"),
        ("http://[media/", "base_url is not a URL"),
        ("ftp://cdn.example.com/", "must start with http"),
    ],
)
def test_base_url_is_refused(base_url, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_url("media-1", base_url)
    assert caught.value.hint


def test_lazy_base_url_is_evaluated_for_a_short_address():
    assert str(parse_url("media-1", SimpleLazyObject(lambda: "/media/"))) == "http://media-1/media/"


def test_lazy_base_url_is_not_evaluated_for_a_full_url():
    def fail():
        raise AssertionError("evaluated")

    assert str(parse_url("http://media-1/", SimpleLazyObject(fail))) == "http://media-1/"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("media-1", "media-1:80"),
        ("media-1", "MEDIA-1"),
        ("media-1", "http://media-1/media/"),
        ("media-1", "http://media-1:80/media"),
        ("https://media-1/", "https://media-1:443"),
        ("høst", "xn--hst-0na"),
        ("[::1]", "[0:0::1]"),
    ],
)
def test_spellings_of_the_same_host(one, other):
    assert parse_url(one, "/media/") == parse_url(other, "/media/")


# Letters that IDNA 2003 and 2008 map differently, with others, in any case and composed or not.
letters = st.text(st.sampled_from("aßẞς\u03c3ΣéÉüÜ-xn1\u017f"), min_size=1, max_size=12)


@given(letters)
def test_a_hostname_is_read_as_by_uts_46(hostname):
    try:
        expected = idna.encode(hostname, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return
    assert parse_url(f"http://{hostname}/", "/").hostname == expected


@given(st.text())
def test_address_is_parsed_or_refused(address):
    try:
        url = parse_url(address, "/media/")
    except ConfigurationError:
        return
    again = urlsplit(str(url))
    assert (again.scheme, again.hostname, again.path) == (url.scheme, url.hostname, url.path)
    assert str(url).isascii()


def test_no_module_beside_a_script_says_who_gets_passwords(tmp_path):
    (tmp_path / "idna.py").write_text("def uts46_remap(*args, **kwargs): return 'attacker.example'")
    (tmp_path / "script.py").write_text("from resto.hosts import parse_url; print(parse_url('https://faß.de/', ''))")
    command = [sys.executable, str(tmp_path / "script.py")]
    printed = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert printed.stdout == "https://xn--fa-hia.de/\n"


passwords = st.text(st.one_of(st.sampled_from("/:?#@[]%"), st.characters()), min_size=1)


@given(passwords, st.sampled_from(["http://user:{}@media-1/", "user:{}@media-1", "ftp://{}@media-1/?q", "{}@"]))
def test_errors_do_not_show_a_password(password, address):
    secret = f"<{password}>"
    with pytest.raises(ConfigurationError) as caught:
        parse_url(address.format(secret), "/media/")
    shown = [str(caught.value), repr(caught.value), "".join(traceback.format_exception_only(caught.value))]
    chain = [str(error) for error in (caught.value.__cause__, caught.value.__context__) if error]
    for text in [*shown, *chain]:
        assert secret not in text
        assert repr(secret)[1:-1] not in text


def test_errors_do_not_show_a_token():
    with pytest.raises(ConfigurationError) as caught:
        parse_url("https://media-1/?signature=secret", "/media/")
    assert "secret" not in str(caught.value)
    assert "'https://media-1/?***'" in str(caught.value)


def test_errors_show_the_host_without_the_password():
    with pytest.raises(ConfigurationError, match=r"'\*\*\*@media-1/files/'"):
        parse_url("http://user:p@ss@media-1/files/", "/media/")


def test_parse_hosts():
    hosts = parse_hosts(["media-1", {"url": "media-2", "auth": "other", "timeout": 5}])
    assert hosts == (Host("media-1"), Host("media-2", {"auth": "other", "timeout": 5}))


def test_no_hosts_on_purpose():
    assert parse_hosts("none") == ()


def test_parse_hosts_leaves_the_setting_alone():
    setting = {"url": "media-1", "auth": "other"}
    parse_hosts([setting])
    assert setting == {"url": "media-1", "auth": "other"}


@pytest.mark.parametrize(
    "values", [("media-1",), {"media-1"}, {"media-1": 1}.keys(), SimpleLazyObject(lambda: ["media-1"])]
)
def test_hosts_may_be_any_iterable(values):
    assert parse_hosts(values) == (Host("media-1"),)


def test_no_hosts():
    with pytest.raises(ConfigurationError, match="no hosts") as caught:
        parse_hosts([])
    assert caught.value.code == "E002"


@pytest.mark.parametrize("values", ["media-1", b"media-2", None, 5, {"url": "media-1"}, "http://user:secret@media-1/"])
def test_hosts_that_are_no_list(values):
    with pytest.raises(ConfigurationError, match="must be a list") as caught:
        parse_hosts(values)
    assert caught.value.code == "E003"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["", None, 5, {}, {"url": ""}, {"url": None}, {"host": "media-1"}, ["media-1"]])
def test_host_without_an_address(value):
    with pytest.raises(ConfigurationError, match="has no address") as caught:
        parse_hosts(["media-1", value])
    assert caught.value.code == "E003"


def test_repr_of_a_host_does_not_show_its_options():
    assert "secret" not in repr(Host("media-1", {"auth": ("user", "secret")}))


@pytest.mark.parametrize("value", [2, 0.5, 1e-3, 1e9])
def test_parse_timeout(value):
    assert parse_timeout(value) == value
    assert isinstance(parse_timeout(value), float)


@pytest.mark.parametrize(
    "value",
    [0, -1, None, "2", True, float("inf"), float("nan"), 10**400, 1e300, [2]],
    ids=lambda value: repr(value)[:9],
)
def test_timeout_is_refused(value):
    with pytest.raises(ConfigurationError, match="must be a positive number") as caught:
        parse_timeout(value)
    assert caught.value.code == "E005"
    assert caught.value.hint


@pytest.mark.parametrize("address", ["http://media-1/#S3cr3t", "http://media-1/?S3cr3t", "http://media-1/?S3#S3cr3t"])
def test_what_follows_a_mark_is_not_shown(address):
    with pytest.raises(ConfigurationError) as caught:
        parse_url(address, "/media/")
    assert "S3" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost:8080", True),
        ("media.localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8:80", True),
        ("[::1]:8080", True),
        ("media-1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("[2001:db8::1]", False),
    ],
)
def test_loopback(host, is_loopback):
    assert parse_url(host, "/media/").is_loopback is is_loopback
