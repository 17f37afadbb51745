"""Which process does something, so that it is known at once when it has ended, and how often that was begun."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns, and an index by which is found what waits, however much that is, in the place of one that found all of it."""

    dependencies = [("resto", "0006_words")]

    operations = [
        migrations.AddField("run", "life", models.CharField(blank=True, default="", max_length=100)),
        migrations.AddField("run", "begun", models.PositiveSmallIntegerField(default=0)),
        migrations.RemoveIndex("run", "resto_run_ended"),
        migrations.AddIndex("run", models.Index(fields=["ended", "started", "kind", "storage"], name="resto_run_open")),
    ]
