"""What Django tells ADMINS, or shows to developers, of an exception."""

import functools
import logging
import sys

from django.utils.log import AdminEmailHandler
from django.views.debug import DEBUG_ENGINE, ExceptionReporter, technical_500_response


# Else each report compiles two templates, which are always the same.
DEBUG_ENGINE.from_string = functools.cache(DEBUG_ENGINE.from_string)


def report(error):
    """Everything that Django reports of an exception, as text and as HTML, but for the variables of whoever has caught it."""
    whole = error.__traceback__
    # Of an error with a cause, a reporter looks at the traceback that the error has, not at the one that it is given.
    error.__traceback__ = whole.tb_next or whole
    try:
        reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
        return reporter.get_traceback_text() + reporter.get_traceback_html()
    finally:
        error.__traceback__ = whole


def debug_page(request, *, accepts="text/html"):
    """The page of an error that has nothing to do with files."""
    request.META["HTTP_ACCEPT"] = accepts
    return technical_500_response(request, *_unrelated_error()).content.decode()


def send_mail(request):
    """Let Django mail of such an error; with all that a mail can have."""
    handler = AdminEmailHandler(include_html=True)
    record = logging.LogRecord("django.request", logging.ERROR, __file__, 1, "Failed", (), _unrelated_error())
    record.request = request
    handler.emit(record)


def _unrelated_error():
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        return sys.exc_info()
