"""URLs of private files. What servers make of them is in tests/docs/test_servers_private.py."""

import traceback
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.storage import storages
from hypothesis import given
from hypothesis import strategies as st

from kit.reports import report
from resto.exceptions import ConfigurationError
from resto.staticfiles import StaticFilesStorage
from resto.storage import DistributedStorage, HybridStorage, signing
from resto.storage.signing import for_lighttpd, for_nginx, signing_of


SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "fedcba9876543210fedcba9876543210"
NOW = 1_000_000.5


@pytest.fixture(autouse=True)
def _secrets(settings, monkeypatch):
    monkeypatch.setattr(signing, "clock", lambda: NOW)
    settings.RESTO_SECRETS = {"links-1": SECRET, "links-2": OTHER_SECRET, "media": ("user", "password")}


@pytest.fixture
def make(settings):
    def make(sign="nginx", base_url="https://example.com/media/", **options):
        options = {
            "hosts": ["media-1"],
            "base_url": base_url,
            "sign": sign,
            "sign_options": {"key": "links-1"} | options,
        }
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
        return storages["default"]

    return make


def expires_of(url):
    return int(parse_qs(urlsplit(url).query)["expires"][0])


# What they are.


def test_url_for_nginx():
    """As ``echo -n '1000060/media/a b.pdf SECRET' | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d =`` has it."""
    url = for_nginx("https://example.com/media/a%20b.pdf", expires=1_000_060, key="links-1", secret=SECRET)
    assert url == "https://example.com/media/a%20b.pdf?md5=mRkl0n0Dforj2kFok16dfw&expires=1000060&key=links-1"


def test_url_for_lighttpd():
    """As ``mod_secdownload`` wants it: HMAC of "/", the time in hexadecimal, and the path."""
    url = for_lighttpd(
        "https://example.com/media/a%20b.pdf", expires=1_000_060, key="links-1", secret=SECRET, longest=60
    )
    assert url == "https://example.com/links-1/81s5OSXUmFlHPrl1gcRexPI9F8PPkSFCNWhjOQmK_ho/f4240/media/a%20b.pdf"


@given(st.sampled_from([for_nginx, for_lighttpd]), st.data())
def test_url_is_good_for_one_path_time_and_secret(sign, data):
    paths = st.text(min_size=1).map(lambda path: f"/{path}")
    one, other = (
        (data.draw(paths), data.draw(st.integers(10**8, 10**10)), data.draw(st.sampled_from([SECRET, OTHER_SECRET])))
        for _ in range(2)
    )
    first, second = (token_of(sign, *each) for each in (one, other))
    assert (first == second) == (one == other)


def token_of(sign, path, expires, secret):
    url = sign(f"https://example.com{quoted(path)}", expires=expires, key="key", secret=secret)
    return parse_qs(urlsplit(url).query)["md5"][0] if sign is for_nginx else urlsplit(url).path.split("/")[2]


def quoted(path):
    return "".join(f"%{byte:02X}" if byte != 47 else "/" for byte in path.encode())


# Which URLs of a storage.


def test_all_are_signed_if_no_directory_is_private(make):
    assert expires_of(make().url("a.pdf")) == 1_000_001 + 3_600
    assert expires_of(make().url("invoices/a.pdf", expire=60)) == 1_000_061
    assert make().url("").endswith("/media/")


@pytest.mark.parametrize("private", [["invoices/"], ("invoices", "people/contracts/"), ["./invoices//"]])
def test_those_below_private_directories_are_signed(make, private):
    storage = make(private=private)
    for name in ("invoices/a.pdf", "./invoices/b/c.pdf"):
        assert "md5=" in storage.url(name)
    for name in ("a.pdf", "invoices.pdf", "invoices", "public/invoices/a.pdf"):
        assert "?" not in storage.url(name)
        assert storage.url(name, expire=60) == storage.url(name)


def test_what_is_no_name_is_signed(make):
    """Nobody knows where it is."""
    assert "md5=" in make(private=["invoices"]).url("/etc/passwd")


def test_time_can_be_set_for_all(make):
    assert expires_of(make(expire=120).url("a")) == 1_000_121
    assert expires_of(make(longest=10, expire=10).url("a")) == 1_000_011


@pytest.mark.parametrize("expire", [0, -1, 86_401, float("nan"), float("inf"), "60", True])
def test_other_times_are_refused(make, expire):
    with pytest.raises(ValueError, match="expire must be a number of seconds up to 86400, not"):
        make().url("a", expire=expire)


def test_nothing_expires_without_a_signature():
    with pytest.raises(ValueError, match="URLs that expire are those of storages with the option 'sign'"):
        DistributedStorage(["media-1"]).url("a", expire=60)


def test_hosts_have_signed_urls(make, monkeypatch):
    monkeypatch.setattr(DistributedStorage, "_url_of_host", lambda self, name: "http://media-1/media/")
    assert make().url("a.pdf").startswith("http://media-1/media/a.pdf?md5=")


def test_secret_is_changed_by_its_name(make):
    before, after = make(key="links-1").url("a"), make(key="links-2").url("a")
    assert [parse_qs(urlsplit(url).query)["key"] for url in (before, after)] == [["links-1"], ["links-2"]]
    assert parse_qs(urlsplit(before).query)["md5"] != parse_qs(urlsplit(after).query)["md5"]


def test_settings_are_followed(settings):
    storage = HybridStorage(["media-1"], "/media/")
    assert storage.url("a") == "/media/a"
    settings.RESTO_SIGN, settings.RESTO_SIGN_OPTIONS = "nginx", {"key": "links-1"}
    assert "key=links-1" in storage.url("a")
    settings.RESTO_SIGN_OPTIONS = {"key": "links-2"}
    assert "key=links-2" in storage.url("a")


def test_static_files_can_be_private(tmp_path):
    storage = StaticFilesStorage(["media-1"], "/s/", tmp_path, sign="nginx", sign_options={"key": "links-1"})
    assert storage.url("a.css").startswith("/s/a.css?md5=")


# A function of the site.


def sign(url, *, expires, key, secret):
    return f"{url}?{expires}&{key}&{len(secret)}"


def fail(url, *, expires, key, secret):
    raise RuntimeError(secret)


not_callable = 1


def test_function_of_the_site_signs(make):
    assert make(f"{__name__}.sign").url("a") == "https://example.com/media/a?1003601&links-1&32"


def test_function_that_fails_shows_no_secret(make):
    with pytest.raises(ValueError, match=r"'.*fail' could not sign a URL: RuntimeError") as caught:
        make(f"{__name__}.fail").url("a")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in report(caught.value)


# What is wrong.


WRONG = [
    ("nginx", {}, "sign_options have no name 'key'"),
    ("nginx", None, "sign_options must be a mapping, not list"),
    (None, {"key": "links-1"}, "sign_options are given without sign"),
    (5, {"key": "links-1"}, "sign must be a string, not int"),
    ("ngnix", {"key": "links-1"}, "sign is 'ngnix', which cannot be imported"),
    ("no.such.function", {"key": "links-1"}, "sign is 'no.such.function', which cannot be imported"),
    (f"{__name__}.not_callable", {"key": "links-1"}, "which is not callable"),
    ("nginx", {"key": "links-1", "prefix": "a"}, "sign_options have an unknown name 'prefix'"),
    ("nginx", {"key": SECRET}, "RESTO_SECRETS has no credential of the name that is given as 'key'"),
    ("nginx", {"key": ("links-1", "links-2")}, "the key of sign_options must be a name, not of type tuple"),
    ("nginx", {"key": "media"}, "the key that signs URLs is no string"),
    ("nginx", {"key": "short"}, "the key that signs URLs is shorter than 22 characters, or has others"),
    ("nginx", {"key": "dollar"}, "the key that signs URLs is shorter than 22 characters, or has others"),
    ("nginx", {"key": "a/b"}, "the name of the key that signs URLs has other characters"),
    ("nginx", {"key": "links-1", "private": "invoices/"}, "private must be a list of directories, not str"),
    ("nginx", {"key": "links-1", "private": ["/invoices/"]}, "'/invoices/', which is no directory of the storage"),
    ("nginx", {"key": "links-1", "private": [""]}, "'', which is no directory of the storage"),
    ("nginx", {"key": "links-1", "private": [3]}, "3, which is no directory of the storage"),
    ("nginx", {"key": "links-1", "expire": "60"}, "expire of sign_options must be a whole number of seconds"),
    ("nginx", {"key": "links-1", "longest": 0}, "longest of sign_options must be a whole number of seconds"),
    ("nginx", {"key": "links-1", "expire": 60, "longest": 59}, "expire is 60, and longest 59"),
]


@pytest.mark.parametrize(("sign", "options", "problem"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_is_wrong_is_refused(settings, sign, options, problem):
    settings.RESTO_SECRETS |= {"short": SECRET[:21], "dollar": f"{SECRET}$uri", "a/b": SECRET}
    storage = DistributedStorage(["media-1"], sign=sign, sign_options=[] if options is None else options)
    (found,) = storage.problems()
    assert problem in found.problem
    assert found.hint
    for act in (storage.require_sound_options, lambda: storage.url("a")):
        with pytest.raises(ConfigurationError) as caught:
            act()
        assert SECRET not in report(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_nothing_shows_the_secret(make):
    storage = make()
    storage.url("a")
    for one in (storage, storage._options, storage._signing, signing_of("nginx", {"key": "links-1"})):
        assert SECRET not in repr(one)
    assert SECRET not in repr(storage.deconstruct())
