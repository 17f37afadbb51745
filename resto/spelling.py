"""What somebody has mistyped, and what they may have meant: the names that there are, and the one that is most like theirs."""

from collections.abc import Iterable
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any, get_args


__all__ = ["did_you_mean", "options_of", "unknown_options"]


def did_you_mean(wrong: str, known: Iterable[str], common: str = "") -> str:
    """Return the question whether somebody has meant a name that is like theirs, a sentence; empty if none is.

    Args:
        wrong: What they wrote.
        known: The names that there are.
        common: What all of them begin with, which makes none like another.
    """
    by_rest = {name.removeprefix(common).lower(): name for name in known}
    similar = get_close_matches(wrong.removeprefix(common).lower(), by_rest, 1)
    return f"Did you mean {by_rest[similar[0]]!r}?" if similar else ""


def options_of(kind: type, given: int = 0) -> list[str]:
    """Return the names of the options that the constructor of a class takes, and hands on to those of its bases.

    Args:
        kind: The class.
        given: How many arguments it gets that are no options.
    """
    names: dict[str, None] = {}
    for one in kind.__mro__[:-1]:
        if "__init__" not in vars(one):
            continue
        _, *parameters = signature(vars(one)["__init__"]).parameters.values()
        named = [parameter.name for parameter in parameters[given:] if parameter.kind in _NAMED]
        rest = [parameter.annotation for parameter in parameters if parameter.kind is Parameter.VAR_KEYWORD]
        handed_on = [_typed_options(annotation) for annotation in rest]
        names |= dict.fromkeys([*named, *(name for some in handed_on for name in some)])
        if all(handed_on):
            break
    return list(names)


def unknown_options(kind: type, unknown: Iterable[str], known: Iterable[str]) -> tuple[str, str]:
    """Return that a class has no such options, and which it has, a sentence fragment; and what may have been meant.

    Args:
        kind: The class.
        unknown: What it does not have.
        known: What it has.
    """
    unknown, known = sorted(unknown), list(known)
    has = f"it has {', '.join(known)}" if known else "it has none"
    hints = (did_you_mean(name, known) for name in unknown)
    return f"{kind.__name__} has no option {', '.join(unknown)}; {has}", " ".join(hint for hint in hints if hint)


_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _typed_options(annotation: Any) -> list[str]:
    """Return the keys of ``Unpack[Options]``; none of anything else."""
    return [name for options in get_args(annotation) for name in getattr(options, "__annotations__", ())]
