"""What hosts have shown that they do with directories: from the record to the transports of this process, and back."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.db import DatabaseError

from resto.exceptions import ConfigurationError
from resto.record import identities
from resto.record.identities import Known
from resto.storage.identified import Identified, alias_of_identities
from resto.transports import Trial


__all__ = ["Trials"]


class Trials:
    """Lets all processes know what one has found out.

    Args:
        storage: Whose hosts they are.
    """

    def __init__(self, storage: Identified) -> None:
        self._storage = storage
        self._kept: dict[str, Trial] = {}  # what the record was told, or has told

    def tell(self, known: Mapping[str, Known]) -> None:
        """Tell the transports what other processes have found out.

        Args:
            known: What the record knows of each host.
        """
        for host in self._storage.hosts:
            trial = _trial_of(known[host].directories) if host in known else None
            if trial is None:
                self._kept.pop(host, None)  # there may be room for it now
            else:
                self._storage.transport_for(host).believe(host, trial)
                self._kept[host] = trial

    def keep(self, host: str) -> None:
        """Let the record know what this process has found out, if it has; without the record, only this process knows.

        Args:
            host: The host as it stands in the settings.
        """
        # The settings may have lost the host meanwhile.
        trial = self._storage.transport_for(host).trial(host) if host in self._storage.hosts else None
        if trial is None or trial == self._kept.get(host):
            return
        self._kept[host] = trial
        alias = alias_of_identities(self._storage)
        if alias is not None:
            with suppress(DatabaseError, ConfigurationError):  # another process finds it out as well
                identities.note_trial(alias, host, asdict(trial))


def _trial_of(values: Mapping[str, Any]) -> Trial | None:
    """Return a trial as the record has it; None if it has none, or one of another version."""
    try:
        return Trial(values["spares"], values["tells"], tuple(values["looks"]), values["tried"])
    except (KeyError, TypeError):
        return None
