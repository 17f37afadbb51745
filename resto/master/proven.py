"""The directory of a master copy as each access has it: opened once, and proven through what was opened."""

import errno
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

    def changing(self, name: str, proof: Proof | None = None, *, makes: bool = False) -> "_Access":
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
        return _Access(self, name, proof or Proof(), changes=True, makes=makes)

    def looking(self, name: str, proof: Proof | None = None) -> "_Access":
        """Open the directory to look at a file in it. It is proven afterwards: what was emptied and restored meanwhile is seen then.

        Args:
            name: As for `changing`.
            proof: As for `changing`.

        Raises:
            FileNotFoundError: As for `changing`.
            ConfigurationError: It is not the master copy, and what was seen must not be believed.
        """
        return _Access(self, name, proof or Proof(), changes=False)

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

    def prove(self, root: Root, name: str, proof: Proof, *, is_save: bool = False) -> None:
        """Raise `ConfigurationError` unless the directory, and that of a file in it, is what it should be.

        Args:
            root: The directory, open.
            name: As for `changing`.
            proof: As for `changing`.
            is_save: Whether a new master copy may begin with this.
        """
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


class _Access:
    """The directory as long as it is open for one access. A generator as context would take several times as long."""

    __slots__ = ("_changes", "_makes", "_name", "_proof", "_proven", "_root")

    def __init__(self, proven: ProvenDirectory, name: str, proof: Proof, *, changes: bool, makes: bool = False) -> None:
        self._proven = proven
        self._name = name
        self._proof = proof
        self._changes = changes
        self._makes = makes

    def __enter__(self) -> Root:
        self._root = self._proven.opened(makes=self._makes)
        try:
            # Whoever looks compares it with what the action has seen before, if it has.
            if self._changes or self._proof.seal is None:
                self._proven.prove(self._root, self._name, self._proof, is_save=self._makes)
        except BaseException:
            self._root.__exit__()
            raise
        return self._root

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        with self._root:
            if kind is not None:
                return
            try:
                self._proven.prove(self._root, self._name, self._proof)
            except ConfigurationError as error:
                if self._changes:
                    raise ReplacedMeanwhileError(error.problem, error.hint, error.code) from error
                raise
