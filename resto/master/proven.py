"""The directory of a master copy as each access has it: opened once, and proven through what was opened."""

import contextlib
import errno
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Protocol

from resto.exceptions import ConfigurationError, os_error
from resto.master.identity import Believer, Proof, ReplacedMeanwhileError
from resto.master.root import Root, make_root


__all__ = ["ProvenDirectory"]


class Located(Protocol):
    """What is asked of a master copy, whose settings may change in tests."""

    @property
    def location(self) -> str | PathLike[str]:
        """The path of the directory."""

    @property
    def directory_permissions_mode(self) -> int | None:
        """Permission bits of new directories; None to leave them to the umask."""


class ProvenDirectory:
    """Opens the directory of a master copy, as far as a believer takes it for that.

    Args:
        master: The master copy.
        believer: Decides; without one any directory is believed.
    """

    def __init__(self, master: Located, believer: Believer | None) -> None:
        self._master = master
        self._believer = believer

    @contextlib.contextmanager
    def changing(self, name: str, proof: Proof | None = None, *, makes: bool = False) -> Iterator[Root]:
        """Open the directory to change a file in it; it is proven before and after.

        Args:
            name: Of the file.
            proof: Of the action that this belongs to.
            makes: Whether a new master copy may begin with this, and its directory be made.

        Raises:
            FileNotFoundError: It is missing, and nothing is known of it.
            ConfigurationError: It is not the master copy, and nothing was changed.
            ReplacedMeanwhileError: It has ceased to be meanwhile.
        """
        proof = proof or Proof()
        with self.opened(makes=makes) as root:
            self._prove(root, name, proof, is_save=makes)
            yield root
            try:
                self._prove(root, name, proof)
            except ConfigurationError as error:
                raise ReplacedMeanwhileError(error.problem, error.hint, error.code) from error

    @contextlib.contextmanager
    def looking(self, name: str, proof: Proof | None = None) -> Iterator[Root]:
        """Open the directory to look at a file in it. It is proven afterwards: what was emptied and restored meanwhile is seen then.

        Args:
            name: As for `changing`.
            proof: As for `changing`.

        Raises:
            FileNotFoundError: As for `changing`.
            ConfigurationError: It is not the master copy, and what was seen must not be believed.
        """
        proof = proof or Proof()
        with self.opened() as root:
            if proof.seal is None:  # else what the action has seen before is what it is compared with
                self._prove(root, name, proof)
            yield root
            self._prove(root, name, proof)

    def opened(self, *, makes: bool = False) -> Root:
        """Return the directory as it is, without proof.

        Args:
            makes: As for `changing`.

        Raises:
            FileNotFoundError: As for `changing`.
            ConfigurationError: It is missing, and should be there.
        """
        location = str(self._master.location)
        try:
            return Root(location)
        except FileNotFoundError:
            if self._believer is not None:
                self._believer.require_unknown(is_save=makes)
            if not makes:
                problem = f"{location} is missing; is it mounted? Nothing is deleted on its account"
                raise os_error(FileNotFoundError, errno.ENOENT, problem) from None
        make_root(Path(location), self._master.directory_permissions_mode)
        return Root(location)

    def _prove(self, root: Root, name: str, proof: Proof, *, is_save: bool = False) -> None:
        if self._believer is not None:
            self._believer.prove(root.descriptor, proof, is_save=is_save)
            directory = name.rpartition("/")[0]
            if directory:
                self._believer.check_place(root.descriptor, directory)

    def require_whole(self) -> None:
        """Raise if files may be missing that have not been brought back yet, as the last access to the directory has shown.

        Raises:
            ConfigurationError: They may.
        """
        if self._believer is not None:
            self._believer.require_whole()
