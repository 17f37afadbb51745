"""Which process does something, so that it is known at once when it has ended, and how often that was begun."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns."""

    dependencies = [("resto", "0006_words")]

    operations = [
        migrations.AddField("run", "life", models.CharField(blank=True, default="", max_length=100)),
        migrations.AddField("run", "begun", models.PositiveSmallIntegerField(default=0)),
    ]
