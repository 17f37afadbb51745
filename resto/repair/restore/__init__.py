"""The way back: files that hosts have, and the master copy has lost, are brought to it.

Name by name a host is chosen that has missed nothing of that name, and whose word can be believed; where hosts disagree, none is.
Everything may go on meanwhile: nothing is brought back that is deleted, and nothing replaced that is saved. Four rules see to that, each
of which was found necessary by trying out all interleavings of few actors (`tests/laws/test_restore_laws.py`):

1. A temporary file, whose name follows from the file's own, exists before anything is looked at. A deletion removes it before
   the file. Publishing is a hard link of it, which fails if it is gone, or the name is taken; nothing is ever replaced.
2. Then what is pending for the name is looked at, then own rows are opened, then the file is downloaded, then published.
3. There are rows for all hosts, which say that they are a restore's. A drain that finds only those forgets them, unless the
   master copy has the file. They become rows as others before anything is sent.
4. After that the hosts are looked at again, the one that the file came from, too.

Look first at `run`, which finds out what is missing; `choice` says from where it is taken, and `bringing` follows the rules.
"""

from resto.progress import Watcher, ignore
from resto.repair.restore.report import Finding, RestoreOptions, RestoreReport, Told
from resto.repair.restore.run import Restore
from resto.storage import HybridStorage


__all__ = ["Finding", "RestoreOptions", "RestoreReport", "restore"]


def restore(
    storage: HybridStorage,
    options: RestoreOptions,
    found: Told,
    progress: Watcher = ignore,
) -> RestoreReport:
    """Bring files that hosts have to the master copy, which lacks them.

    If the directory is not believed in, it is in the state of being restored from now on, and the master copy as any other as
    soon as a run has looked at everything, and nothing is left in doubt.

    Args:
        storage: Which one.
        options: How.
        found: Told what becomes of each file that is missing.
        progress: Told how far it is: how many files are there, or were dealt with, of those in directories that were looked into.

    Returns:
        What it came to.
    """
    return Restore(storage, options, found, progress).run()


# As in `resto.storage`.
for _public in (Finding, RestoreOptions, RestoreReport):
    _public.__module__ = __name__
