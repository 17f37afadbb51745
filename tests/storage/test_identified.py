"""Whether a storage has identities at all."""

import pytest

from resto.record import database
from resto.storage.identified import alias_of_identities, has_identities


class Site:
    """A storage, as far as it is asked here."""

    def __init__(self, alias, *, is_recorded=True):
        self._alias, self._is_recorded = alias, is_recorded

    def is_recorded(self):
        return self._is_recorded

    def record_alias(self):
        return self._alias


@pytest.mark.parametrize(
    ("site", "is_test", "expected"),
    [
        (Site("default"), False, (True, "default")),
        (Site("default"), True, (False, None)),
        (Site(None, is_recorded=False), False, (False, None)),
        (Site(None), False, (True, None)),  # the record cannot be asked here and now
    ],
)
def test_identities_are_those_of_a_recorded_site_and_of_no_test(monkeypatch, site, is_test, expected):
    monkeypatch.setattr(database, "is_under_test", lambda: is_test)
    assert (has_identities(site), alias_of_identities(site)) == expected
