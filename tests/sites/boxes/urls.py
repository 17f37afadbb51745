"""What visitors of the site can do with a file."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError
from django.http import HttpResponse
from django.urls import path


def save(request, name):
    return HttpResponse(default_storage.save(name, ContentFile(request.body)))


def delete(request, name):
    default_storage.delete(name)
    return HttpResponse()


def read(request, name):
    with default_storage.open(name) as file:
        return HttpResponse(file.read())


def answering(view):
    """Let a failure be an answer: 404 if there is no such file, and 503 if that is not known."""

    def answer(request, name):
        try:
            return view(request, name)
        except FileNotFoundError as error:
            return HttpResponse(str(error), status=404)
        except (OSError, DatabaseError) as error:
            return HttpResponse(f"{type(error).__name__}: {error}", status=503)

    return answer


urlpatterns = [path(f"{view.__name__}/<path:name>", answering(view)) for view in (save, delete, read)]
