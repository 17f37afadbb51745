"""Migrations of the durable record, where Django looks for them by name. They keep its rows."""

__all__: list[str] = []
