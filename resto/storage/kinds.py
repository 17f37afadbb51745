"""Whether options are of the kind that they should be: many values of another kind would be taken for something, in silence."""

import os
from typing import Any

from resto.exceptions import ConfigurationError


__all__ = ["require_directory_mode", "require_file_mode", "require_flag", "require_path"]

_FLAG_HINT = "A string is true, whatever it says. Write what it is compared with, such as os.environ['X'] == 'yes'."
_MODE_HINT = "Write a number with 0o in front, such as {example}; or None, which leaves modes to the umask."

# Who owns a file reads it, and who owns a directory looks for files and makes new ones.
_READS, _MAKES = 0o400, 0o300

_PERMISSIONS, _INHERITS_GROUP = 0o777, 0o2000


def require_flag(option: str, value: Any) -> None:
    """Raise unless an option is true or false.

    Args:
        option: Its name.
        value: Its value.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, int) or value not in (0, 1):
        raise ConfigurationError(f"{option} must be True or False, not {value!r}", _FLAG_HINT, "E027")


def require_file_mode(value: Any) -> None:
    """Raise unless files can have a mode, and their owner read them.

    Args:
        value: Permission bits, or None.

    Raises:
        ConfigurationError: It is something else.
    """
    _require_mode("file_permissions_mode", "FILE_UPLOAD_PERMISSIONS", value, _READS, _PERMISSIONS, "0o644")


def require_directory_mode(value: Any) -> None:
    """Raise unless directories can have a mode, and their owner make files in them; they may hand down their group.

    Args:
        value: As for `require_file_mode`.

    Raises:
        ConfigurationError: As for `require_file_mode`.
    """
    allowed = _PERMISSIONS | _INHERITS_GROUP
    setting = "FILE_UPLOAD_DIRECTORY_PERMISSIONS"
    _require_mode("directory_permissions_mode", setting, value, _MAKES, allowed, "0o755")


def _require_mode(option: str, setting: str, value: Any, needed: int, allowed: int, example: str) -> None:
    if value is None:
        return
    hint = _MODE_HINT.format(example=example)
    name = f"{option}, or {setting},"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a mode, not {value!r}", hint, "E027")
    if value & ~allowed or value & needed != needed:
        meant = f"0o{value}" if str(value).strip("01234567") == "" and str(value) != "0" else example
        hint = _MODE_HINT.format(example=meant)
        raise ConfigurationError(f"{name} is {value}, which is the mode {value:#o}", hint, "E027")


def require_path(option: str, value: Any) -> None:
    """Raise unless an option is a path.

    Args:
        option: Its name, and that of the setting that it falls back to.
        value: Its value.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, str | os.PathLike):
        problem = f"{option} must be a path, not {value!r}"
        raise ConfigurationError(problem, "Write it as a string, such as '/srv/media', or as a Path.", "E027")
