"""Private files on servers that are set up as the documentation shows: who gets them, with which URL.

127.0.0.1 is in @WRITERS@, other addresses of the loopback network are not.
"""

import re
import time
from contextlib import ExitStack
from urllib.parse import quote, urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.documents import ROOT, read_blocks
from kit.fleet import ASKING, OUTSIDER, start_fleet
from kit.kinds import CONFIGS
from kit.servers import ADDRESS, SECRET, replace_each
from resto.storage import DistributedStorage, signing


PAGE = ROOT / "docs" / "private-files.md"
SIGN = {"nginx-private": "nginx", "lighttpd-private": "lighttpd"}
NEXT_SECRET = "of-the-next-ones-to-sign-and-to-look"
SECRETS = {"links-1": SECRET, "links-2": NEXT_SECRET, "stolen": "not-the-one-that-the-server-knows", "": ""}
NAMES = ["a.pdf", "b/é ?&=%+#'(1).pdf", "100%25.pdf", "A B/c d.txt"]

# What a server says to a URL of a secret that it does not know; to lighttpd that is no signed one.
UNKNOWN = {"nginx-private": 403, "lighttpd-private": 404}


@pytest.fixture(autouse=True)
def _secrets(settings):
    settings.RESTO_SECRETS = SECRETS


@pytest.fixture(scope="module", params=SIGN)
def server(request, media_servers):
    server = media_servers(request.param)
    for name in NAMES:
        server.write(f"private/{name}", name.encode())
        server.write(f"public/{name}", name.encode())
    return server


def storage_of(server, **options):
    options = {"key": "links-1", "private": ["private/"]} | options
    return DistributedStorage([server.url], server.url, sign=SIGN[server.name], sign_options=options)


def get(server, url, source=OUTSIDER, method="GET", **headers):
    parts = urlsplit(url)
    return server.request(method, f"{parts.path}?{parts.query}", headers=headers, source=source)


@pytest.mark.parametrize("name", NAMES)
def test_signed_url_shows_its_file(server, name):
    url = storage_of(server).url(f"private/{name}")
    answer = get(server, url)
    assert (answer.status, answer.body) == (200, name.encode())
    assert answer.headers.get_all("Cache-Control") == ["private"]
    assert get(server, url, method="HEAD").status == 200
    part = get(server, url, Range="bytes=1-2")
    assert (part.status, part.body) == (206, name.encode()[1:3])


@pytest.mark.parametrize("name", NAMES)
def test_other_files_are_shown_to_all(server, name):
    answer = get(server, storage_of(server).url(f"public/{name}"))
    assert (answer.status, answer.body) == (200, name.encode())
    assert "Cache-Control" not in answer.headers


@pytest.mark.parametrize("path", ["private/a.pdf", "public/../private/a.pdf", "%70rivate/a.pdf", "/private//a.pdf"])
def test_url_without_a_signature_shows_nothing(server, path):
    assert server.request("GET", f"/{path}", source=OUTSIDER).status == 403
    assert server.request("HEAD", f"/{path}?md5=&expires=&key=", source=OUTSIDER).status == 403
    assert server.request("GET", f"/{path}").body == b"a.pdf"  # to an application server


def test_private_folder_is_named_as_it_is_read(server, start_server):
    """Not as it stands in URLs, and not as a regular expression."""
    folder = "/Verträge (2026) a+b/"
    own = start_server(server.name, private=folder)
    for name in (f"{folder}a.pdf", "/other/a.pdf"):
        own.write(name.strip("/"), b"content")
    assert own.request("GET", quote(f"{folder}a.pdf"), source=OUTSIDER).status == 403
    assert own.request("GET", "/other/a.pdf", source=OUTSIDER).status == 200
    assert get(own, storage_of(own, private=[folder.strip("/")]).url(f"{folder}a.pdf".strip("/"))).body == b"content"


def test_url_expires(server, monkeypatch):
    storage = storage_of(server)
    assert get(server, storage.url("private/a.pdf", expire=60)).status == 200
    assert get(server, storage.url("private/a.pdf", expire=86_400)).status == 200
    monkeypatch.setattr(signing, "clock", lambda: time.time() - 90)
    url = storage.url("private/a.pdf", expire=60)
    assert get(server, url).status == 410
    assert get(server, url, source="127.0.0.1").status == {"nginx-private": 200, "lighttpd-private": 410}[server.name]


def test_url_is_good_for_nothing_else(server):
    url = storage_of(server).url("private/a.pdf")
    assert get(server, url.replace("a.pdf", "A%20B/c%20d.txt")).status == 403
    assert get(server, url.replace("private/", "private/b/../A%20B/")).status == 403
    assert get(server, url.replace("links-1", "links-2")).status == UNKNOWN[server.name]


def test_time_cannot_be_changed(server):
    url = storage_of(server).url("private/a.pdf", expire=60)
    pattern, base = {"nginx": (r"(?<=expires=)\d+", "d"), "lighttpd": ("(?<=/)[0-9a-f]{8}(?=/)", "x")}[
        SIGN[server.name]
    ]
    (found,) = re.findall(pattern, url)
    later = int(found, 16 if base == "x" else 10) + 1
    assert get(server, url.replace(found, f"{later:{base}}")).status == 403


def test_url_that_is_signed_with_another_secret_is_forged(server):
    url = storage_of(server, key="stolen").url("private/a.pdf")
    assert get(server, url).status == UNKNOWN[server.name]
    assert get(server, url.replace("stolen", "links-1")).status == 403


@pytest.mark.parametrize("key", ["", "unknown"])
def test_nobody_signs_with_an_empty_secret(server, key):
    sign = {"nginx": signing.for_nginx, "lighttpd": signing.for_lighttpd}[SIGN[server.name]]
    url = sign(f"{server.url}private/a.pdf", expires=int(time.time()) + 60, key=key, secret="")
    assert get(server, url).status in {403, 404}


def test_url_is_good_on_hosts_that_know_the_secret(server, start_server):
    """And on no other one: whoever takes that over signs for itself only."""
    url = storage_of(server).url("private/a.pdf")
    for secret, status in [(SECRET, 200), (NEXT_SECRET, 403)]:
        other = start_server(server.name, secret=secret)
        other.write("private/a.pdf", b"other")
        assert get(other, url).status == status


def test_two_secrets_are_good_while_one_takes_the_place_of_the_other(server, start_server):
    both = start_server(server.name, secret=two_secrets(server.name))
    both.write("private/a.pdf", b"content")
    for key in ("links-1", "links-2"):
        url = storage_of(both, key=key).url("private/a.pdf")
        assert get(both, url).body == b"content"
        assert get(both, url.replace(key, {"links-1": "links-2", "links-2": "links-1"}[key])).status == 403


def two_secrets(kind):
    """What stands in the place of a secret if there is one more line."""
    return {
        "nginx-private": f'{SECRET}"; links-2 "{NEXT_SECRET}',
        "lighttpd-private": f'{SECRET}", ["links-2"] = "{NEXT_SECRET}',
    }[kind]


def test_storages_read_what_is_private(server, settings):
    """They come from the address of an application server."""
    options = {
        "hosts": [f"{server.url}private/"],
        "transport": "webdav",
        "sign": SIGN[server.name],
        "sign_options": {"key": "links-1"},
    }
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    storage = storages["default"]
    name = storage.save("new/a.txt", ContentFile(b"content"))
    assert storage.open(name).read() == b"content"
    assert (storage.exists(name), storage.size(name), storage.listdir("new")) == (True, 7, ([], ["a.txt"]))
    storage.delete(name)
    assert not storage.exists(name)


def test_outsiders_do_not_write(server):
    url = urlsplit(storage_of(server).url("private/a.pdf"))
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "PROPFIND", "POST"):
        for path in ("/private/a.pdf", f"{url.path}?{url.query}"):
            answer = server.request(method, path, b"", {"Destination": f"{server.url}public/b"}, source=OUTSIDER)
            assert answer.status in {403, 405, 501}
    assert get(server, url.geturl()).body == b"a.pdf"


# Together with servers that ask each other.


def both():
    """What `nginx-fallback.conf` has besides `nginx-dav.conf`, as edits of `nginx-private.conf`."""
    text = (CONFIGS / "nginx-fallback.conf").read_text()
    maps = text[text.index("    # A file that is missing here") : text.index("    client_max_body_size")]
    maps = re.sub(r"    map \$http_x_resto_fallback \$caching.*?\n    }\n", "", maps, flags=re.DOTALL)
    locations = text[text.index("            error_page 404 = @others;") :]
    end = "            }\n        }\n    }\n}"
    locations = replace_each(locations, ASKING["nginx-fallback"])
    return {
        "    client_max_body_size 0;": f"{maps}    client_max_body_size 0;",
        end: f"            }}\n{locations.rstrip()}",
        "        secure_link $arg_md5": "        recursive_error_pages on;\n        secure_link $arg_md5",
    }


def test_private_files_are_shown_by_servers_that_lack_them(monkeypatch):
    with ExitStack() as stack:
        fleet = start_fleet(stack, "nginx-private", both())
        fleet[1].write("private/a.pdf", b"content")
        fleet[1].write("public/a.pdf", b"public")
        for server in fleet:
            storage = storage_of(server)
            url = storage.url("private/a.pdf")
            assert get(server, url).body == b"content"
            assert get(server, url.partition("?")[0]).status == 403
            assert get(server, url.replace("a.pdf", "b.pdf")).status == 403
            assert get(server, storage.url("private/missing.pdf")).status == 404
            assert get(server, storage.url("public/a.pdf")).body == b"public"
            with monkeypatch.context() as patch:
                patch.setattr(signing, "clock", lambda: time.time() - 90)
                assert get(server, storage.url("private/a.pdf", expire=60)).status == 410


# Through the site.


def test_site_lets_nginx_send_a_file(start_server, media_servers):
    """As the page has it; in the place of the site there is a location that says what it would say."""
    (block,) = [one.text for one in read_blocks(PAGE) if one.language == "nginx"]
    media = media_servers("nginx-dav")
    folder = media.new_folder()[1].name
    media.write(f"{folder}/b ü.pdf", b"content")
    name = quote("b ü.pdf")
    site = f"""
        location = /download {{ proxy_pass http://{ADDRESS}:@PORT@/site; }}
        location = /site {{ add_header X-Accel-Redirect "/protected/{name}"; default_type application/pdf; return 200 ""; }}
        {block.replace("http://10.0.0.7:8080/media/", f"{media.url}{folder}/")}
        location / {{"""
    front = start_server("nginx", {"        location / {": site})
    answer = front.request("GET", "/download", source=OUTSIDER)
    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (200, b"content", "private")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert front.request("GET", f"/protected/{name}", source=OUTSIDER).status == 404
