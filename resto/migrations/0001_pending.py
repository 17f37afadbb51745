"""The table of the durable record."""

from django.db import migrations, models


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
            ],
            options={
                "verbose_name_plural": "pending",
                "indexes": [
                    models.Index(fields=["owner"], name="resto_pending_owner"),
                    models.Index(fields=["due"], name="resto_pending_due"),
                ],
            },
        ),
    ]
