"""A column for the key of each row's name."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddColumn(migrations.AddField):
    """Adds a column without copying the table, which Django would do on SQLite."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute("ALTER TABLE resto_pending ADD COLUMN name_key varchar(32) DEFAULT '' NOT NULL")
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    """Adds the column. Version 0.1, which does not know it, leaves it empty."""

    dependencies = [("resto", "0001_pending")]

    operations = [
        AddColumn("pending", "key", models.CharField(db_column="name_key", db_default="", max_length=32)),
    ]
