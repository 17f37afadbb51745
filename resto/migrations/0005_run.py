"""A table for what is done, or is to be done, for a site."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table. Older versions know nothing of it."""

    dependencies = [("resto", "0004_host")]

    operations = [
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=16)),
                ("storage", models.CharField(blank=True, default="", max_length=500)),
                ("hosts", models.TextField(default="[]")),
                ("options", models.TextField(default="{}")),
                ("asked_by", models.CharField(blank=True, default="", max_length=200)),
                ("asked", models.FloatField()),
                ("started", models.FloatField(null=True)),
                ("seen", models.FloatField(null=True)),
                ("ended", models.FloatField(null=True)),
                ("machine", models.CharField(blank=True, default="", max_length=255)),
                ("process", models.PositiveIntegerField(null=True)),
                ("done", models.PositiveBigIntegerField(default=0)),
                ("total", models.PositiveBigIntegerField(null=True)),
                ("is_total_final", models.BooleanField(default=False)),
                ("sent_bytes", models.PositiveBigIntegerField(default=0)),
                ("total_bytes", models.PositiveBigIntegerField(null=True)),
                ("code", models.SmallIntegerField(null=True)),
                ("counts", models.TextField(default="{}")),
                ("problems", models.TextField(default="[]")),
                ("report", models.TextField(default="{}")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["kind", "storage", "id"], name="resto_run_kind"),
                    models.Index(fields=["ended"], name="resto_run_ended"),
                ],
            },
        ),
    ]
