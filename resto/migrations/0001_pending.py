"""The table of the durable record."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def distinguish_all_texts(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let texts be any, and equal only if they are the same.

    MySQL and MariaDB take "A" for "a" by default, and may not know all characters, as the database was made with them.
    """
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("ALTER TABLE resto_pending CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    """Makes the table."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("storage", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=500)),
                ("name", models.TextField()),
                ("present", models.BooleanField()),
                ("owner", models.CharField(max_length=32)),
                ("quiet_until", models.FloatField()),
                ("due", models.FloatField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(default="")),
                ("created", models.FloatField()),
                ("digest", models.CharField(max_length=32, default="")),
                ("opened_by", models.CharField(max_length=32, default="")),
                ("latest", models.CharField(max_length=32, default="")),
            ],
            options={
                "verbose_name_plural": "pending",
                "indexes": [
                    models.Index(fields=["owner"], name="resto_pending_owner"),
                    models.Index(fields=["due"], name="resto_pending_due"),
                    models.Index(fields=["digest"], name="resto_pending_digest"),
                ],
            },
        ),
        migrations.RunPython(distinguish_all_texts, migrations.RunPython.noop, atomic=False),
    ]
