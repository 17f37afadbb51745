"""A site with forms: albums, which have files, and pictures, in the admin and in views of each kind."""

import io
from contextlib import contextmanager

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models
from django.forms import FileField, Form, ModelForm, inlineformset_factory
from django.http import HttpResponse, HttpResponseRedirect
from django.template import engines
from django.test.utils import isolate_apps
from django.urls import path
from django.views.generic import CreateView, FormView, UpdateView
from PIL import Image

from resto.forms import ReplicatedAdminMixin, ReplicatedFormMixin, saving


def of_owner(album, name):
    return f"{album.owner}/{name}"


with isolate_apps("resto"):

    class Album(models.Model):
        title = models.CharField(max_length=30)
        owner = models.CharField(max_length=30, editable=False, default="nobody")
        cover = models.FileField(upload_to=of_owner)
        booklet = models.FileField(upload_to="booklets", blank=True)

        class Meta:
            app_label = "resto"

        def __str__(self):
            return self.title

    class Picture(models.Model):
        album = models.ForeignKey(Album, models.CASCADE)
        caption = models.CharField(max_length=30)
        image = models.ImageField(upload_to="pictures", width_field="width")
        width = models.IntegerField(null=True, editable=False)

        class Meta:
            app_label = "resto"

        def __str__(self):
            return self.caption


# The admin.


class PictureInline(admin.TabularInline):
    model = Picture
    extra = 1


class LabelledAdmin(admin.ModelAdmin):
    """What a site may have for all its models."""

    def get_form(self, request, obj=None, change=False, **kwargs):
        form_class = super().get_form(request, obj, change, **kwargs)
        for name, field in form_class.base_fields.items():
            field.label = f"The {name}"
        return form_class


class AlbumAdmin(ReplicatedAdminMixin, LabelledAdmin):
    inlines = (PictureInline,)
    list_display = ("title", "booklet")
    list_editable = ("booklet",)

    def save_model(self, request, obj, form, change):
        obj.owner = request.user.username
        super().save_model(request, obj, form, change)


site = admin.AdminSite()
site.register(Album, AlbumAdmin)

# Views of the site's own.


class AlbumForm(ModelForm):
    class Meta:
        model = Album
        fields = ("title", "cover", "booklet")


class PictureForm(ModelForm):
    class Meta:
        model = Picture
        fields = ("caption", "image")


Pictures = inlineformset_factory(Album, Picture, fields=["caption", "image"], extra=1)

PAGE = """
{% if object %}<p id="object">{{ object.pk }} {{ object.cover.name }}</p>{% endif %}
<form>{{ form }}{{ pictures }}</form>
"""


def shown(request, **context):
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


SAVED = []  # the names of the views that have told somebody of it


class Page:
    success_url = "/done/"

    def render_to_response(self, context, **kwargs):
        return shown(self.request, **context)

    def form_valid(self, form):
        response = super().form_valid(form)
        SAVED.append(type(self).__name__)
        return response


class Add(Page, ReplicatedFormMixin, CreateView):
    model = Album
    form_class = AlbumForm


class AddWithPictures(Add):
    """Makes the formset where many sites do."""

    def get_context_data(self, **kwargs):
        sent = (self.request.POST, self.request.FILES) if self.request.method == "POST" else ()
        return super().get_context_data(**kwargs, pictures=Pictures(*sent, instance=self.object))

    def form_valid(self, form):
        pictures = self.get_context_data()["pictures"]
        if not pictures.is_valid():
            return self.form_invalid(form)
        self.object = pictures.instance = form.save()
        pictures.save()
        return HttpResponseRedirect(self.success_url)


class Edit(Page, ReplicatedFormMixin, UpdateView):
    queryset = Album.objects
    form_class = AlbumForm


class LetterForm(Form):
    letter = FileField()


class Send(Page, ReplicatedFormMixin, FormView):
    form_class = LetterForm

    def form_valid(self, form):
        letter = form.cleaned_data["letter"]
        default_storage.save(f"letters/{letter.name}", letter)
        return super().form_valid(form)


def add_with_pictures(request):
    form = AlbumForm(request.POST or None, request.FILES or None)
    pictures = Pictures(request.POST or None, request.FILES or None, instance=form.instance)
    if form.is_valid() and pictures.is_valid():
        with saving(form, pictures):
            form.save()
            pictures.save()
            return HttpResponseRedirect("/done/")
    return shown(request, form=form, pictures=pictures, object=form.instance)


urlpatterns = (
    path("admin/", site.urls),
    path("add/", Add.as_view()),
    path("add-with-pictures/", AddWithPictures.as_view()),
    path("<int:pk>/edit/", Edit.as_view()),
    path("send/", Send.as_view()),
    path("pictures/", add_with_pictures),
)


# The site as a whole.

MIDDLEWARE = ["sessions.middleware.Session", "auth.middleware.Authentication", "messages.middleware.Message"]
CONTEXT = ["template.context_processors.request", "contrib.auth.context_processors.auth"]
CONTEXT += ["contrib.messages.context_processors.messages"]


def set_up(settings, kind, hosts):
    """Let the site be that of the tests, with a kind of storage."""
    settings.ROOT_URLCONF = urlpatterns
    settings.STATIC_URL = "/static/"
    settings.MIDDLEWARE = [f"django.contrib.{name}Middleware" for name in MIDDLEWARE]
    engine, options = "django.template.backends.django.DjangoTemplates", [f"django.{name}" for name in CONTEXT]
    settings.TEMPLATES = [{"BACKEND": engine, "APP_DIRS": True, "OPTIONS": {"context_processors": options}}]
    settings.RESTO_MEDIA_HOSTS = hosts
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage"}}
    ContentType.objects.clear_cache()  # those of its models go with each test
    SAVED.clear()


@contextmanager
def tables(blocker):
    """Have the tables of the site; a context."""
    with blocker.unblock(), connection.schema_editor() as editor:
        for model in (Album, Picture):
            editor.create_model(model)
    yield
    with blocker.unblock(), connection.schema_editor() as editor:
        for model in (Picture, Album):
            editor.delete_model(model)


# What is sent, and what comes of it.


def refuse(server, word):
    """Let a server say that it has no room for files whose name has a word in it."""

    def look(method, path):
        server.override_code = 507 if method == "PUT" and word in path else None

    server.on_request = look


def stored(servers, media_root):
    """All that is anywhere: on the hosts, and in the master copy."""
    master = [str(path.relative_to(media_root)) for path in media_root.rglob("*") if path.is_file()]
    return {name for server in servers for name in server.files} | set(master)


def upload(name, content=b"content"):
    return SimpleUploadedFile(name, content)


def picture(name, width=7):
    with io.BytesIO() as file:
        Image.new("RGB", (width, 3)).save(file, "PNG")
        return upload(name, file.getvalue())


def inlines(prefix="picture_set", initial=0, **fields):
    management = {f"{prefix}-TOTAL_FORMS": "1", f"{prefix}-INITIAL_FORMS": str(initial)}
    return management | {f"{prefix}-0-{name}": value for name, value in fields.items()}


def sentence(reason):
    return f"not stored: {reason}; nothing was saved. Choose the file again, and try again."


UNAVAILABLE = "the site cannot take files at the moment"
ALSO = "not stored either, as nothing was saved. Choose the file again."
OLD = {"somebody/old.txt", "pictures/old.png"}


def sent_again(sent):
    """What is sent by somebody who has chosen the files again."""
    for value in sent.values():
        if hasattr(value, "seek"):
            value.seek(0)
    return sent


def save(form):
    """Save a form as a view does; return whether it was saved."""
    assert form.is_valid()
    with saving(form):
        form.save()
        return True
    return False


def album_form(**files):
    return AlbumForm({"title": "one"}, files)
