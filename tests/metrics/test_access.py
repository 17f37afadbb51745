"""Who may see metrics."""

import pytest

from resto.metrics.access import has_token, is_for_nobody, shows_token


@pytest.mark.parametrize(
    ("authorization", "is_shown"),
    [
        ("Bearer a token", True),
        ("bearer a token", True),
        ("Bearer  a token ", True),
        ("Bearer a toke", False),
        ("Bearer a tokens", False),
        ("Bearer é", False),
        ("Bearer ", False),
        ("Basic a token", False),
        ("a token", False),
        ("", False),
    ],
)
def test_token(settings, authorization, is_shown):
    settings.RESTO_SECRETS = {"metrics": "a token"}
    assert has_token()
    assert not is_for_nobody()
    assert shows_token(authorization) is is_shown


@pytest.mark.parametrize("secrets", [{}, {"media": "a token"}])
def test_no_token(settings, secrets):
    settings.RESTO_SECRETS = secrets
    assert not has_token()
    assert not is_for_nobody()
    assert not shows_token("Bearer a token")


def test_setting_that_cannot_be_read(settings):
    """Somebody wanted a token, perhaps."""
    settings.RESTO_SECRETS = ["a token"]
    assert has_token()
    assert not shows_token("Bearer a token")


@pytest.mark.parametrize("wrong", ["", ("user", "password"), None, 5, b"a token"])
def test_what_is_no_token_is_shown_by_nobody(settings, wrong):
    settings.RESTO_SECRETS = {"metrics": wrong}
    assert has_token()
    assert is_for_nobody()
    for shown in ("", "None", "5", "a token", str(wrong)):
        assert not shows_token(f"Bearer {shown}")
