"""What a host is, by what its identity says and what the record knows."""

from itertools import product

from resto.record.identities import BEING_MADE, GONE, NEW, Known
from resto.storage.host_findings import finding_of, problem_of, served_finding
from resto.storage.host_identity import HostIdentity


HOSTS, SITE = ("one", "two"), ("mine", "other")
IDS, OWNERS, STATES = ["a", "b"], [*SITE, "former", "stranger"], ["", BEING_MADE, GONE, NEW]


def known_host(host, identity, mark="mine", next_mark="", state=""):
    return Known("default", host, identity, mark, next_mark, {}, {}, {}, state, 0.0)


# All that a host may say, and all that the record may know of it and of another one: few enough to look at each.
FOUND = [None, *(HostIdentity(*values) for values in product(["", *IDS], OWNERS))]
ONE = [None, *(known_host("one", *values) for values in product(IDS, OWNERS, ["", *OWNERS], STATES))]
TWO = [None, *(known_host("two", identity) for identity in IDS)]
CASES = [(found, {one.host: one for one in hosts if one is not None}) for found, *hosts in product(FOUND, ONE, TWO)]


def finding(found, known, **options):
    return finding_of("one", found, known, HOSTS, "mine", ["other"], **options)


def test_host_is_sound_only_if_it_is_of_this_site_the_one_that_it_was_and_no_other():
    for found, known in CASES:
        mine, other = known.get("one"), known.get("two")
        is_sound = (
            found is not None
            and found.id != ""
            and found.owner in SITE
            and (mine is None or mine.identity == found.id)
            and (other is None or other.identity != found.id)
        )
        assert (finding(found, known).kind == "sound") is is_sound


def test_host_that_may_be_changed_is_of_this_site_unless_somebody_has_said_that_it_follows():
    for found, known in CASES:
        judged, mine = finding(found, known), known.get("one")
        if judged.kind in ("sound", "same"):
            assert found.owner in SITE
        elif judged.kind == "follows":
            assert (mine.identity, mine.mark, mine.next_mark) == (found.id, found.owner, "mine")
        else:
            assert judged.is_left_alone or judged.kind in ("unknown", "unread")


def test_host_without_an_identity_has_lost_it_unless_it_is_only_about_to_get_one():
    for found, known in CASES:
        if found is None:
            has_had_one = "one" in known and known["one"].state != BEING_MADE
            assert finding(found, known).kind == ("gone" if has_had_one else "unknown")


def test_directory_of_which_the_identity_says_nothing_is_not_the_host_that_is_known():
    """A server may answer something else for a while; a directory tells what it has."""
    for found, known in CASES:
        of_server, of_directory = finding(found, known), finding(found, known, is_directory=True)
        if of_server.kind == "unread" and "one" in known and known["one"].state != BEING_MADE:
            assert (of_directory.kind, of_directory.is_refused, of_directory.is_lost) == ("blank", True, False)
            assert of_directory.problem.hint.endswith("manage.py resto_adopt --host one.")
        else:
            assert (of_directory.kind, str(of_directory.problem)) == (of_server.kind, str(of_server.problem))


def test_whatever_is_wrong_is_said():
    for found, known in CASES:
        judged = finding(found, known)
        assert (judged.problem is None) is (judged.kind in ("sound", "unknown", "follows", "unread"))
        assert bool(judged.remark) is (judged.kind == "unread")
        assert judged.is_refused is (judged.kind == "foreign")
        assert judged.is_lost is (judged.kind in ("gone", "swapped"))
        text = problem_of(judged)
        assert (text == "") is (judged.problem is None)
        assert text.startswith("nothing is sent or removed: ") is judged.is_left_alone
        if judged.problem is not None:
            assert judged.problem.problem.startswith("one ")
            assert judged.problem.hint.endswith("manage.py resto_adopt --host one.")


def test_what_a_host_has_been_that_is_no_more_in_the_settings_does_not_count():
    for found, known in CASES:
        judged, other = finding(found, known), finding(found, known | {"removed": known_host("removed", "a")})
        assert (judged.kind, str(judged.problem)) == (other.kind, str(other.problem))


def test_twins_are_named():
    known = {"two": known_host("two", "a")}
    assert problem_of(finding(HostIdentity("a", "mine"), known)).startswith("one and two are the same server, ")


def test_master_copy_itself_is_refused():
    served = served_finding("one", "a", "/media")
    assert (served.is_refused, served.is_lost) == (True, False)
    assert problem_of(served).startswith("nothing is sent or removed: one serves /media, which is the master copy")
