"""Forms whose files cannot be stored: nothing is saved, and the form is shown again, with the error beside the field.

`saving` is for views that are functions, `ReplicatedFormMixin` for those that are classes, and `ReplicatedAdminMixin` for the admin.
Storages note what they do for a form in `resto.record.attempts`. Look first into `block`, at `Saving`.
"""

from resto.forms.admin import ReplicatedAdminMixin
from resto.forms.block import saving
from resto.forms.views import ReplicatedFormMixin


__all__ = ["ReplicatedAdminMixin", "ReplicatedFormMixin", "saving"]

# Where a site imports them from.
for _public in (ReplicatedAdminMixin, ReplicatedFormMixin, saving):
    _public.__module__ = __name__
