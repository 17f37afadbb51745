"""What people are told that rows are. The database is not asked for anything."""

from django.db import migrations


class Migration(migrations.Migration):
    """Changes no table."""

    dependencies = [("resto", "0005_run")]

    operations = [
        migrations.AlterModelOptions(name="host", options={"verbose_name": "media host"}),
        migrations.AlterModelOptions(name="pending", options={"verbose_name": "pending name"}),
    ]
