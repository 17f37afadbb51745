"""What people are told of hosts, files and runs, be it by commands or on the page of hosts: sentences."""

__all__: list[str] = []
