"""What answers to a deletion mean, without a network, as in test_steps.py."""

from dataclasses import replace

import pytest

from kit.steps import ACTION, BARE, DATE, acquainted, listed, run, sent
from resto.exceptions import RemoteDirectoryError, UndecidedError, UnexpectedStatusCode
from resto.transports import deletion, steps
from resto.transports.messages import NoAnswerError


def delete(*answers, action=ACTION, host=None, has_propfind=False):
    """Delete on a host of which something is known; or on one that spares directories, which has the request already."""
    is_on_its_way = host is None
    host = host or acquainted()
    return run(deletion.delete(action, host, has_propfind=has_propfind, is_on_its_way=is_on_its_way), *answers)


def ask(*answers, **options):
    """Delete on a host of which nothing is known, and which has whatever one asks for, so that it cannot be tried."""
    is_found = answers[-1] == 200 or answers[-1] == (200, DATE)
    return delete(*answers, *([200] if is_found else []), host=acquainted(None), **options)


# Hosts that spare directories


@pytest.mark.parametrize(("status", "existed"), [(200, True), (204, True), (404, False), (410, False)])
@pytest.mark.parametrize("has_propfind", [False, True])
def test_delete(status, existed, has_propfind):
    result, requests = delete(status, has_propfind=has_propfind)
    assert result is existed
    (request,) = requests
    assert (request.method, request.target, request.headers, request.body) == (
        "DELETE",
        ACTION.target,
        {"Depth": "0"},
        None,
    )


def test_a_host_that_looks_as_before_is_asked_once_more():
    result, requests = delete((200, DATE), 204, host=acquainted())
    assert result is True
    assert sent(requests) == [("HEAD", ACTION.target), ("DELETE", ACTION.target)]


@pytest.mark.parametrize("answer", [(200, DATE | {"Server": "another"}), (200, DATE | {"Via": "1.1 proxy"}), 200])
def test_a_host_that_looks_otherwise_is_asked_what_that_is(answer):
    """Another server has its address since, and may delete directories."""
    host = acquainted()
    with pytest.raises(RemoteDirectoryError):
        delete(answer, listed(True), host=host, has_propfind=True)
    assert not host.spares_directories


def test_a_file_that_has_no_date_is_no_reason_to_doubt_what_is_known():
    """Each deletion would begin with a trial."""
    host = acquainted()
    result, requests = delete(200, listed(False), 204, host=host, has_propfind=True)
    assert result is True
    assert [method for method, _ in sent(requests)] == ["HEAD", "PROPFIND", "DELETE"]
    assert host.spares_directories


def test_that_nothing_is_there_is_for_the_host_to_say_once_more():
    """Apache says so of directories."""
    result, requests = delete(404, 404, host=acquainted())
    assert result is False
    assert [method for method, _ in sent(requests)] == ["HEAD", "DELETE"]


@pytest.mark.parametrize("status", [201, 202, 207, 301, 400, 401, 403, 405, 409, 423, 500])
def test_a_delete_that_failed(status):
    tries = len(steps.LOCK_DELAYS) + 1 if status == 423 else 1
    parents = [301] if status in (400, 403, 409) else []
    with pytest.raises(UnexpectedStatusCode):
        delete(*[status] * tries, 404, *parents)  # it is no directory


@pytest.mark.parametrize("status", [400, 403, 409])
def test_nothing_is_deleted_below_a_file(status):
    result, requests = delete(status, 404, 404, (200, DATE), action=replace(ACTION, name="a/b.txt/c/d"))
    assert result is False
    assert sent(requests)[1:] == [("HEAD", f"/media/{name}") for name in ("a/b.txt/c/d", "a/b.txt/c", "a/b.txt")]


def test_apache_says_only_in_a_listing_that_it_has_a_directory():
    refused = (400, {"Server": "Apache"})
    with pytest.raises(RemoteDirectoryError):
        delete(refused, 404, 404, 207)
    with pytest.raises(UnexpectedStatusCode):
        delete(refused, 404, 404, 403)


@pytest.mark.parametrize(
    "host", [acquainted(), acquainted(spares=False), acquainted(None)], ids=["spares", "deletes", ""]
)
@pytest.mark.parametrize("has_propfind", [False, True])
@pytest.mark.parametrize("status", [414, 431])
def test_nothing_is_deleted_whose_name_is_too_long_for_the_server(status, has_propfind, host):
    answers = [status, status] if host.spares_directories else [status]  # there it says so of the deletion, too
    result, requests = delete(*answers, action=replace(ACTION, name="é" * 1000), host=host, has_propfind=has_propfind)
    assert result is False
    assert len(requests) == len(answers)


def test_header_fields_may_be_too_long_for_the_server():
    with pytest.raises(UnexpectedStatusCode):
        delete(431, 404)


# Other hosts


def test_a_host_that_does_not_spare_directories_is_asked_first():
    result, requests = delete((200, DATE), 423, 204, host=acquainted(spares=False))
    assert result
    assert sent(requests) == [("HEAD", ACTION.target), ("DELETE", ACTION.target), ("DELETE", ACTION.target)]


def test_it_is_asked_by_propfind_where_there_is_one():
    result, requests = delete(listed(False), 204, host=acquainted(spares=False), has_propfind=True)
    assert result
    assert sent(requests) == [("PROPFIND", ACTION.target), ("DELETE", ACTION.target)]
    assert requests[0].headers["Depth"] == "0"


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("has_propfind", [False, True])
def test_delete_of_what_is_not_there_asks_only(status, has_propfind):
    result, requests = ask(status, has_propfind=has_propfind)
    assert not result
    assert sent(requests) == [("PROPFIND" if has_propfind else "HEAD", ACTION.target)]


@pytest.mark.parametrize("answer", [listed(True), (301, {"Location": f"{ACTION.target}/"})], ids=["207", "301"])
def test_a_directory_is_not_deleted(answer):
    with pytest.raises(RemoteDirectoryError):
        ask(answer, has_propfind=True)


@pytest.mark.parametrize("answer", [200, (200, DATE)], ids=str)
def test_delete_of_what_may_be_a_directory_does_nothing(answer):
    with pytest.raises(UndecidedError, match=r"not certain.*: it says that it has a file .*; .*'webdav' can ask"):
        ask(answer)


@pytest.mark.parametrize("answer", [207, 301, 405, 403, 401, 500, (405, DATE)], ids=str)
def test_what_says_nothing_is_an_error(answer):
    with pytest.raises(UnexpectedStatusCode):
        ask(answer)


@pytest.mark.parametrize(
    "said",
    [405, 501, 401, 200, listed(None), (207, {}, BARE), (207, {})],
    ids=["405", "501", "401", "200", "untyped", "bare", "no body"],
)
def test_where_propfind_does_not_help_head_is_asked(said):
    with pytest.raises(UndecidedError, match="not certain that this is a file"):
        ask(said, (200, DATE), has_propfind=True)
    result, requests = delete(said, (200, DATE), 204, host=acquainted(spares=False), has_propfind=True)
    assert result
    assert sent(requests)[1:] == [("HEAD", ACTION.target), ("DELETE", ACTION.target)]


@pytest.mark.parametrize(
    ("tells", "answer", "is_file"),
    [
        ("301", (200, DATE), True),
        ("301", 200, True),
        ("undated", (200, DATE), True),
        ("", (200, DATE), False),
    ],
)
def test_a_trial_says_what_a_file_looks_like(tells, answer, is_file):
    host = acquainted(spares=False, tells=tells)
    if is_file:
        assert delete(answer, 204, host=host)[0]
    else:
        with pytest.raises(UndecidedError, match="not certain"):
            delete(answer, host=host)


def test_a_trial_says_what_a_directory_looks_like():
    with pytest.raises(RemoteDirectoryError):
        delete(405, host=acquainted(spares=False, tells="405"))
    with pytest.raises(UndecidedError):
        delete(200, host=acquainted(spares=False, tells="403 undated"))
    with pytest.raises(UnexpectedStatusCode):  # so it would say of a file that is not shown, too
        delete(403, host=acquainted(spares=False, tells="403"))


# When a trial is made


TRIAL = [404, 201, 201, 301, 409]  # up to the question whether it was spared


def test_after_the_first_deletion_the_host_is_tried():
    host = acquainted(None)
    result, requests = delete(listed(False), 204, *TRIAL, 404, 404, 404, 404, 204, host=host, has_propfind=True)
    assert result
    assert sent(requests)[:2] == [("PROPFIND", ACTION.target), ("DELETE", ACTION.target)]
    assert host.trial is not None
    assert not host.spares_directories
    assert len(delete(listed(False), 204, host=host, has_propfind=True)[1]) == 2


def test_a_file_that_is_deleted_stays_so_if_the_trial_gets_no_answer():
    host = acquainted(None)
    silence = NoAnswerError("no answer within 2 s", ambiguous=True)
    assert delete(listed(False), 204, 404, silence, host=host, has_propfind=True)[0] is True
    assert host.trial is None


def test_while_a_trial_is_under_way_nobody_begins_another_one():
    host = acquainted(None)
    host.begin()
    assert len(delete(listed(False), 204, host=host, has_propfind=True)[1]) == 2


def test_in_doubt_a_trial_comes_first():
    host = acquainted(None)
    with pytest.raises(UndecidedError, match=r"not certain.*PUT was answered 403"):
        delete((200, DATE), 404, 405, 403, host=host)
    assert "PUT was answered 403" in host.problem
    with pytest.raises(UndecidedError, match="not certain"):
        delete((200, DATE), 404, 405, 403, host=host)


# Replacing


@pytest.mark.parametrize("host", [acquainted(), acquainted(None)], ids=["proven", "unknown"])
def test_a_file_may_be_replaced(host):
    """That DELETE spares directories says nothing of MOVE."""
    is_file, requests = run(deletion.replaces_file(ACTION, host), listed(False))
    assert is_file
    assert sent(requests) == [("PROPFIND", ACTION.target)]
    with pytest.raises(RemoteDirectoryError):
        run(deletion.replaces_file(ACTION, host), listed(True))
    assert run(deletion.replaces_file(ACTION, host), 404)[0] is False


def test_in_doubt_nothing_is_replaced():
    for host in (acquainted(tells=""), acquainted(spares=False, tells="")):
        with pytest.raises(UndecidedError, match="not certain"):
            run(deletion.replaces_file(ACTION, host), 405, (200, DATE))
    run(deletion.replaces_file(ACTION, acquainted(tells="301")), 405, (200, DATE))


# Directories


@pytest.mark.parametrize("status", [200, 204, 404, 410])
def test_a_directory_is_removed(status):
    _, requests = run(deletion.remove_directory(ACTION), 423, status)
    assert sent(requests) == [("DELETE", f"{ACTION.target}/")] * 2
    assert [request.headers for request in requests] == [{}, {}]


@pytest.mark.parametrize("status", [202, 207, 301, 400, 403, 405, 409, 500])
def test_a_directory_that_stays(status):
    with pytest.raises(UnexpectedStatusCode):
        run(deletion.remove_directory(ACTION), status)
