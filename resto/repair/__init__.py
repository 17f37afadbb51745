"""Repair: what makes hosts equal again, and says how they are.

The drain sends what the record says that hosts have missed; the full comparison finds what happened behind resto's back; status asks, and
the probe tries out with files of its own. How one file reaches one host is known to `resto.storage`. Look first at `drain.drain`.
"""

__all__: list[str] = []
