"""A table for what is known of hosts and master copies."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table. Older versions know nothing of it."""

    dependencies = [("resto", "0003_indexes")]

    operations = [
        migrations.CreateModel(
            name="Host",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("storage", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=500)),
                ("identity", models.CharField(max_length=32)),
                ("mark", models.CharField(default="", max_length=32)),
                ("next_mark", models.CharField(default="", max_length=32)),
                ("marks", models.TextField(default="[]")),
                ("places", models.TextField(default="{}")),
                ("directories", models.TextField(default="{}")),
                ("state", models.CharField(default="", max_length=32)),
                ("looked", models.FloatField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("storage", "host"), name="resto_host_once")],
            },
        ),
    ]
