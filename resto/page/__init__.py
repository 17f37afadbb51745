"""What operators see of hosts in Django's admin, and ask for there. Nothing is sent to hosts from here but questions how they are."""

__all__: list[str] = []
