"""The durable record: a row says "this host may differ from the master copy for this name".

Nothing is recorded of what was done, because operations that are done again later arrive in another order. Whoever changes
the master copy keeps these rules, each of which was found necessary by trying out all interleavings of few actors:

1. Write ahead: the row exists before the master copy changes. Else a crash in between is forgotten.
2. Look again: whoever has sent a file looks at the master copy again (`resto.storage.replication`). Else a slow upload arrives after
   the deletion that followed it.
3. Own rows only: nobody deletes a row that another one holds. Else one success erases the unfinished work of another.
4. Whoever writes to a host holds a lease, a drainer too. Else somebody else clears the row while a request is in flight.
5. Grace: after a failure that may have been none, a row is left alone until the old request cannot arrive any more.

Rows of hosts that have followed are removed a moment later (`resto.record.settled`).

Without a master copy, a row does not say "may differ" but "has not followed this change", and which one it knows to be the last
of the name. Hosts are then compared with each other, and seven more rules hold: see `resto.record.truth`.

The rows are in the site's database (``RESTO_DATABASE``) if ``"resto"`` is in ``INSTALLED_APPS``. Without it, nothing is
recorded, and the rest works as before.

Look first at `leases.Lease`, which whoever changes something holds, and at `changes.Change`, which uses it. Nothing here sends anything, and
nothing knows of files.
"""

__all__: list[str] = []
