"""Indexes by key and by host, made while others use the table."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddIndexBesideOthers(migrations.AddIndex):
    """Adds an index; PostgreSQL would keep everybody else from writing meanwhile.

    Django's own operation for that needs a driver of PostgreSQL, which sites with another database do not have.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif self.allow_migrate_model(schema_editor.connection.alias, model):
            # One that was interrupted has left an index that is good for nothing.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.execute(self.index.create_sql(model, schema_editor, concurrently=True), params=None)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        elif self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(self.index.remove_sql(model, schema_editor, concurrently=True))


class Migration(migrations.Migration):
    """Adds the indexes."""

    atomic = False

    dependencies = [("resto", "0002_key")]

    operations = [
        AddIndexBesideOthers("pending", models.Index(fields=["key"], name="resto_pending_key")),
        AddIndexBesideOthers("pending", models.Index(fields=["storage", "host", "due"], name="resto_pending_host_due")),
        AddIndexBesideOthers(
            "pending", models.Index(fields=["storage", "host", "created"], name="resto_pending_host_age")
        ),
    ]
