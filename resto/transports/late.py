"""Uploads that a host stores, and answers too late: whoever asks again need not send them again."""

import logging

from resto.names import shown


__all__ = ["log_late"]

logger = logging.getLogger("resto")


def log_late(host: str, name: str, timeout: float) -> None:
    """Log that a host has stored an upload, and has not said so in time.

    Args:
        host: The host as it stands in the settings.
        name: The file's name.
        timeout: In seconds.
    """
    logger.warning(
        "%s has stored %s, but did not answer within %g s: the option 'timeout' is too short for it.",
        host,
        shown(name),
        timeout,
    )
