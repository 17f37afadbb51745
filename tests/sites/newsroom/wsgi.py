"""What gunicorn runs."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.wsgi import get_wsgi_application


application = get_wsgi_application()

# The site uses its storage before gunicorn forks: workers must do without the threads and connections made here.
default_storage.save("preloaded.txt", ContentFile("before the fork"))
