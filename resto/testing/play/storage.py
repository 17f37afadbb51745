"""The storage of the site."""

from typing import ClassVar

from resto.storage import HybridStorage


class SwitchedStorage(HybridStorage):
    """A storage whose ``fatal_exceptions`` is switched while the site runs, of which settings are not capable."""

    is_strict: ClassVar[bool] = False
    """Whether an action that fails on a host raises."""

    @property
    def fatal_exceptions(self) -> bool:
        return self.is_strict
