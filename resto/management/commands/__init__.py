"""Where Django looks for commands by name: each module is one."""

__all__: list[str] = []
