"""Keeps what functions hold out of the error mails of Django: a credential that is wrong is a secret all the same."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar


__all__ = ["sensitive_variables"]

P = ParamSpec("P")
T = TypeVar("T")


def sensitive_variables() -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Hide the variables of a function, and of all that it calls, from reports of exceptions.

    As Django's ``sensitive_variables``, and understood by whatever understands that one. The module of Django's also imports
    its views, mails and an HTTP client, which takes longer than all of resto, in processes that have no use for them.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        # Both names, and those of the arguments, are what Django looks for in the frames of a traceback.
        @wraps(function)
        def sensitive_variables_wrapper(*func_args: Any, **func_kwargs: Any) -> T:
            sensitive_variables_wrapper.sensitive_variables = "__ALL__"  # type: ignore[attr-defined]  # read by Django
            return function(*func_args, **func_kwargs)

        return sensitive_variables_wrapper

    return decorate
