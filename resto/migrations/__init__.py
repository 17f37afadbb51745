"""Migrations of the durable record."""

__all__: list[str] = []
