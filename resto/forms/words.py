"""What a visitor is told of a file that could not be stored: which host, and never what it was asked or told."""

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from resto.exceptions import (
    ConfigurationError,
    FailedOutcome,
    HostUnavailableError,
    ReplicationError,
    RestoError,
    UnexpectedStatusCode,
)
from resto.names import shown


__all__ = ["lost_with_it", "not_deleted", "not_stored", "of_file"]

logger = logging.getLogger("resto")


def not_stored(error: RestoError, replaced: Sequence[str]) -> str:
    """Return the sentences that stand beside a field whose file could not be stored.

    Args:
        error: Why.
        replaced: Names whose older files are gone all the same.
    """
    values = {"reason": _reason(error), "files": ", ".join(shown(name) for name in replaced)}
    if replaced:
        return (
            _(
                "not stored: %(reason)s; nothing was saved, but what was replaced is gone: %(files)s. "
                "Choose the file again, and try again."
            )
            % values
        )
    return _("not stored: %(reason)s; nothing was saved. Choose the file again, and try again.") % values


def not_deleted(error: RestoError, *, is_deleted: bool) -> str:
    """Return the sentences that tell of a deletion of objects during which a file could not be deleted.

    Args:
        error: Why.
        is_deleted: Whether the objects are gone all the same.
    """
    values = {"reason": _reason(error)}
    if is_deleted:
        return _("Deleted, but not every file of it: %(reason)s.") % values
    return _("Not deleted: %(reason)s. Files may be gone already. Delete it again.") % values


def lost_with_it() -> str:
    """Return the sentences that stand beside the fields of the other files that were sent with the form."""
    return _("not stored either, as nothing was saved. Choose the file again.")


def of_file(name: str, sentences: str) -> str:
    """Return sentences about a file that no field of a form is for.

    Args:
        name: That of the file.
        sentences: About it.
    """
    return f"{shown(name)}: {sentences}" if name else sentences


def _reason(error: RestoError) -> str:
    if isinstance(error, ReplicationError) and error.failures:
        return _of_hosts(error.failures)
    # Paths and commands are for the operators of the site.
    logger.error("Failed to store or delete a file of a form. %s", error)
    reason = _("the site cannot take files at the moment")
    return f"{reason} (resto.{error.code})" if isinstance(error, ConfigurationError) else reason


def _of_hosts(failures: Sequence[FailedOutcome]) -> str:
    silent = [_shown_host(one.host) for one in failures if isinstance(one.error, HostUnavailableError)]
    reasons = [_of_answer(one) for one in failures if not isinstance(one.error, HostUnavailableError)]
    if silent:
        told = ngettext("%(hosts)s does not answer", "%(hosts)s do not answer", len(silent))
        reasons.insert(0, told % {"hosts": ", ".join(silent)})
    return ", ".join(reasons)


def _of_answer(failure: FailedOutcome) -> str:
    values = {"host": _shown_host(failure.host)}
    if isinstance(failure.error, UnexpectedStatusCode):
        return _("%(host)s refuses it (status %(status)d)") % {**values, "status": failure.error.status}
    return _("it failed on %(host)s") % values


def _shown_host(host: str) -> str:
    """Return a host without its path, and without the name of a user."""
    return urlsplit(host).netloc.rpartition("@")[2] or host
