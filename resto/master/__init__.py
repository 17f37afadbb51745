"""The master copy: the local files that hosts converge to, each of them whole whenever it is seen.

Nothing here knows of hosts, of the record, or of who has asked for what. Look first at `copy.MasterCopy`; `snapshots` says what a file was when it
was opened, by which replication finds out whether it has changed since.
"""

__all__: list[str] = []
