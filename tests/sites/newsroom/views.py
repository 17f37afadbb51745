"""Pages with forms that take uploads, and a view whose own code writes files."""

import os

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import CreateView, DeleteView, DetailView, UpdateView

from resto.forms import ReplicatedFormMixin


def tell_the_worker(get_response):
    """Middleware: answers say which process gave them, and what Django made of an upload."""

    def respond(request):
        response = get_response(request)
        response["X-Worker"] = str(os.getpid())
        for upload in request.FILES.values():
            response["X-Upload"] = type(upload).__name__
        return response

    return respond


class _Form:
    template_name = "newsroom/form.html"

    @property
    def fields(self):
        return ["headline", *self.model.files]

    def get_success_url(self):
        return f"/{self.object._meta.model_name}s/{self.object.pk}/"


class Add(_Form, CreateView):
    pass


class AddOrShow(ReplicatedFormMixin, Add):
    """Shows the form again if a file cannot be stored."""


class Edit(_Form, UpdateView):
    """Deletes the files that were replaced, which Django leaves where they are."""

    def form_valid(self, form):
        before = {name: form.initial[name] for name in self.model.files if form.initial[name]}
        names = {name: file.name for name, file in before.items()}
        response = super().form_valid(form)
        for field, name in names.items():
            if getattr(self.object, field).name != name:
                before[field].storage.delete(name)
        return response


class Delete(DeleteView):
    template_name = "newsroom/form.html"
    success_url = "/articles/"


class Show(DetailView):
    template_name = "newsroom/show.html"


@csrf_exempt
def notes(request):
    """Save, replace, write or delete a file of the default storage, from code."""
    action, name, text = request.POST["action"], request.POST["name"], request.POST.get("text", "")
    if action in ("replace", "delete"):
        default_storage.delete(name)
    if action in ("save", "replace"):
        name = default_storage.save(name, ContentFile(text))
    if action == "write":
        with default_storage.open(name, "w") as file:
            file.write(text)
    return JsonResponse({"name": name})
