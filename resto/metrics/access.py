"""Who may see metrics: whoever shows the token that the site has for it."""

from collections.abc import Mapping
from typing import Any

from django.utils.crypto import constant_time_compare

from resto.sensitive import sensitive_variables
from resto.settings import get_setting, wrong_secrets


__all__ = ["has_token", "is_for_nobody", "shows_token"]

# The name of the token in ``RESTO_SECRETS``.
NAME = "metrics"


def has_token() -> bool:
    """Return whether the site has a token, or something in its place that nobody can show, such as None."""
    return wrong_secrets() is not None or NAME in _secrets()


@sensitive_variables()
def is_for_nobody() -> bool:
    """Return whether nobody can show what the site has for a token, as it is empty or no text."""
    token = _secrets().get(NAME, "absent")
    return not (isinstance(token, str) and token)


@sensitive_variables()
def shows_token(authorization: str) -> bool:
    """Return whether a request shows the token.

    Args:
        authorization: Its header of this name; empty if it has none.
    """
    token = _secrets().get(NAME)
    kind, _, shown = authorization.partition(" ")
    if not isinstance(token, str) or not token or kind.lower() != "bearer":
        return False
    return constant_time_compare(shown.strip(), token)


def _secrets() -> Mapping[str, Any]:
    return {} if wrong_secrets() else get_setting("SECRETS")
