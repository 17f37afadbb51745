"""How a directory becomes the master copy in whose files hosts fill the gaps, and how it stops to be one."""

from resto.exceptions import ConfigurationError
from resto.master.identity import Found, Identity, keep_identity, new_identity, read_identity, require_exclusive_links
from resto.master.places import missing_places
from resto.master.root import Root
from resto.names import MASTER_IDENTITY
from resto.record import identities
from resto.record.identities import MASTER, Known
from resto.storage.belief import RESTORING, Belief
from resto.storage.verdict import matching, problem_of


__all__ = ["begin_restore", "end_restore"]


def begin_restore(location: str, belief: Belief) -> bool:
    """Let a directory that lacks files be the master copy, in the state of being restored, unless it is believed in anyway.

    The identity of an older copy leaves first, and that of the record comes before that of the directory: what is killed in
    between is refused by all others, and can be done again.

    Args:
        location: Its path.
        belief: Of its storage.

    Returns:
        Whether it is in that state now.

    Raises:
        ConfigurationError: It is missing, or the master copy of something else.
        DatabaseError: The record cannot be used.
    """
    aliases = belief.aliases()
    if not aliases:
        return False
    try:
        root = Root(location)
    except FileNotFoundError:
        raise ConfigurationError(f"{location} is missing; is it mounted?", "If it is to be there, create it.") from None
    with root:
        found = read_identity(root.descriptor)
        known = matching(identities.find(aliases), found)
        problem = problem_of(location, found, known)
        if problem is not None and not _is_of_this_site(found, known):
            raise problem
        if problem is None and found is not None and known is not None:
            begins = _begin_below(root, known)
            belief.forget()
            return begins or known.state == RESTORING
        require_exclusive_links(root.descriptor, location)
        root.remove(MASTER_IDENTITY)
        identity = _following(known)
        identities.put(aliases[0] if known is None else known.storage, MASTER, *identity, state=RESTORING)
        keep_identity(root.descriptor, identity)
    belief.forget()
    belief.require()
    return True


def _begin_below(root: Root, known: Known) -> bool:
    """Let directories below that are not mounted any more be as all others, in the state of being restored; tell whether there are any."""
    lost = missing_places(root.descriptor, known.places)
    if lost:
        identities.change_places(
            known, lambda places: {path: what for path, what in places.items() if path not in lost}, state=RESTORING
        )
    return bool(lost)


def _following(known: Known | None) -> Identity:
    """Return the identity of what takes the place of a master copy: its hosts stay those of this site."""
    identity = new_identity()
    return Identity(known.identity or identity.id, identity.mark) if known is not None else identity


def _is_of_this_site(found: Found | None, known: Known | None) -> bool:
    """Tell whether a directory has lost its identity, or is an older copy of the master copy."""
    if found is None:
        return True
    return known is not None and found.identity.id == known.identity and found.identity.mark in known.marks


def end_restore(belief: Belief) -> None:
    """Let a directory in which nothing is missing any more be the master copy as any other.

    Args:
        belief: Of its storage.

    Raises:
        ConfigurationError: It is another one by now.
        DatabaseError: The record cannot be used.
    """
    belief.require()
    for known in identities.find(belief.aliases()):
        if known.state == RESTORING:
            identities.note(known, state="")
    belief.forget()
