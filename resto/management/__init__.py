"""Commands of manage.py: what they ask for, print and end with.

What they do is in `resto.repair` and `resto.installed`; this says it to people. Look first into `commands`.
"""

__all__: list[str] = []
