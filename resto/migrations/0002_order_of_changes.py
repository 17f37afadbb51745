"""What is needed to find the truth of a name where there is no master copy."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the columns by which changes of one name are found, and put in order."""

    dependencies = [("resto", "0001_pending")]

    operations = [
        migrations.AddField("pending", "digest", models.CharField(max_length=32, default="")),
        migrations.AddField("pending", "opened_by", models.CharField(max_length=32, default="")),
        migrations.AddField("pending", "latest", models.CharField(max_length=32, default="")),
        migrations.AddIndex("pending", models.Index(fields=["digest"], name="resto_pending_digest")),
    ]
