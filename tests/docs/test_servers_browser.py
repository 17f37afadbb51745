"""What a browser does with uploads on servers that are set up as the documentation shows.

It runs on 127.0.0.1, which is in @WRITERS@: a script of the server's origin could write and delete there.
"""

import base64
import io
import re
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from PIL import Image
from selenium.common.exceptions import WebDriverException

from kit.kinds import CONFIGS
from kit.kinds import KINDS as ALL_KINDS
from kit.servers import ADDRESS


KINDS = ["nginx", "nginx-dav", "apache", "lighttpd"]
PATIENCE = 20  # seconds
RED = (255, 0, 0)

# Requests that are over before the page has loaded.
SCRIPT = """
for (const [method, name] of [["PUT", "planted.txt"], ["DELETE", "victim.txt"]]) {
    const request = new XMLHttpRequest();
    request.open(method, name, false);
    request.send(method === "PUT" ? "planted" : null);
}
"""
HTML = f"<!DOCTYPE html><title>page</title><script>{SCRIPT}</script>".encode()
CDATA = f"<![CDATA[{SCRIPT}]]>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{CDATA}</script></svg>'.encode()
XHTML = f'<html xmlns="http://www.w3.org/1999/xhtml"><head><script>{CDATA}</script></head></html>'.encode()
UPLOADS = {
    "page.html": HTML,
    "page.xhtml": XHTML,
    "page.svg": SVG,
    "page.xml": XHTML,
    "page": HTML,
    "page.unknown": HTML,
    "page.html.unknown": HTML,
    "page.jpg": HTML,
    "page.txt": HTML,
    "page.pdf": HTML,
}


def opened(browser, server, name, content):
    """Upload a file, open it in the browser, and return which files are there then."""
    url, folder = server.new_folder()
    server.write(f"{folder.name}/victim.txt", b"content")
    server.write(f"{folder.name}/{name}", content)
    try:
        browser.get(f"{url}{name}")
    except WebDriverException as error:
        if "ERR_ABORTED" not in str(error):  # it is downloaded
            raise
    return {path.name for path in folder.iterdir()} - {name}


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_do_not_run_as_script(kind, media_servers, browser):
    for name, content in UPLOADS.items():
        assert opened(browser, media_servers(kind), name, content) == {"victim.txt"}, name


def without_policy(kind):
    """Pieces to remove from a configuration, so that it says nothing of uploads."""
    text = (CONFIGS / ALL_KINDS[kind].config).read_text()
    lines = re.findall("^.*(?:Content-Security-Policy|nosniff|octet-stream .expr).*$", text, re.MULTILINE)
    empty = '    "X-Empty" => ""' if kind == "lighttpd" else ""
    return dict.fromkeys(lines[:-1], "") | {lines[-1]: empty}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("nginx", "page.html"), ("nginx-dav", "page.svg"), ("apache", "page"), ("apache", "page.xml"), ("lighttpd", "page.svg")],
)  # fmt: skip
def test_uploads_would_run_as_script_without_the_policy(kind, name, start_server, browser):
    """The test above would see it."""
    server = start_server(kind, without_policy(kind))
    assert opened(browser, server, name, UPLOADS[name]) == {"planted.txt"}


# What is no script is shown.


PICTURE = io.BytesIO()
Image.new("RGB", (600, 600), RED).save(PICTURE, "PNG")
DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" width="600" height="600">
<style>rect { fill: #f00 }</style><rect width="600" height="600"/></svg>"""
DOCUMENT = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 600]/Contents 4 0 R/Resources<<>>>>endobj
4 0 obj<</Length 26>>stream
1 0 0 rg 0 0 600 600 re f
endstream endobj
trailer<</Root 1 0 R>>
"""
# A red square of 16 pixels: VP8, made by Chromium's MediaRecorder.
VIDEO = base64.b64decode(
    "GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQRChYECGFOAZwEAAAAAAAFgEU2bdLlNu4tTq4QVSalmU6yBbk27i1OrhBZUrmtT"
    "rIGTTbuLU6uEH0O2dVOsgdRNu4xTq4QcU7trU6yCAU7srgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAVSalmoCrXsYMPQkBEiYQ/gAAATYCGQ2hyb21lV0GGQ2hyb21lFlSua7yuuteBAXPFhwuEUo+07mWDgQFV7oEBhoVWX1ZQOOCdsIEQ"
    "uoEQU8CBAVWwkFWxgQFVuYECVbqBDVW7gQEfQ7Z1AQAAAAAAAG7ngQCg6aG+gQAAAPACAJ0BKhAAEAAABwiFhYiZhIgBJBATrVAfwB/Q"
    "EGpvcP7+67y/+U9jivo/8p+//5PdnjSmiX/5OAB1oaampO6BAaWfEAIAnQEqEAAQAAAHCIWFiJmEiAEkEABgawD+/7qDABxTu2uNu4uz"
    "gQC3hveBAfGB1A=="
)
SHOWN = {"picture.png": PICTURE.getvalue(), "drawing.svg": DRAWING, "document.pdf": DOCUMENT}


def shows_red(browser):
    """Whether the middle of the window is red."""
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    return all(abs(is_ - want) < 20 for is_, want in zip(picture.getpixel((450, 250)), RED, strict=True))


def wait_for(condition, name):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{name} is not shown"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A function: body -> the URL of a page of the site, which is another server."""
    folder = tmp_path_factory.mktemp("site")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):  # noqa: A002 (the name of the base class)
            pass

    def make(body):
        (folder / "page.html").write_text(f"<!DOCTYPE html><title>site</title><body style='margin: 0'>{body}")
        return f"http://{ADDRESS}:{site.server_port}/page.html?{time.monotonic_ns()}"

    with ThreadingHTTPServer((ADDRESS, 0), partial(Quiet, directory=folder)) as site:
        thread = Thread(target=site.serve_forever)
        thread.start()
        yield make
        site.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHOWN)
def test_files_are_shown(kind, name, media_servers, browser, page):
    server = media_servers(kind)
    url, folder = server.new_folder()
    server.write(f"{folder.name}/{name}", SHOWN[name])
    tag = "iframe" if name.endswith(".pdf") else "img"
    in_a_page = page(f"<{tag} src='{url}{name}' width=800 height=600 style='border: 0'>")
    for address in (f"{url}{name}", in_a_page):
        browser.get("about:blank")
        assert not shows_red(browser)
        browser.get(address)
        wait_for(lambda: shows_red(browser), address)


HAS_PICTURE = "const video = document.querySelector('video'); return video && video.readyState >= 2 && video.videoWidth"


@pytest.mark.parametrize("kind", KINDS)
def test_videos_are_shown(kind, media_servers, browser, page):
    """Opened directly as well, which "sandbox" alone, without "allow-same-origin", would not do."""
    server = media_servers(kind)
    url, folder = server.new_folder()
    server.write(f"{folder.name}/video.webm", VIDEO)
    for address in (f"{url}video.webm", page(f"<video src='{url}video.webm' preload='auto'></video>")):
        browser.get(address)
        wait_for(lambda: browser.execute_script(HAS_PICTURE) == 16, address)
