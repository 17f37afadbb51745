import pytest

from kit.play import EQUAL, PlaySite
from sites.workshop.site import wait_until


@pytest.fixture(scope="session")
def session_site(tmp_path_factory):
    with PlaySite(tmp_path_factory.mktemp("play")) as site:
        yield site
        assert "Traceback" not in site.errors
        assert "Warning" not in site.errors


@pytest.fixture
def site(session_site):
    """The session's site, where all hosts run and are what they should be."""
    yield session_site
    session_site.click("switch off")
    for name in ("media-1", "media-2", "media-3", "watcher"):
        session_site.click(f"start {name}")
    for name in ("media-1", "media-2", "media-3"):
        wait_until(lambda name=name: EQUAL in session_site.host(name), session_site.state)
