"""What answers to a deletion mean, without a network, as in test_steps.py."""

from dataclasses import replace

import pytest

from kit.steps import ACTION, DATE, run, sent
from resto.exceptions import RemoteDirectoryError, TransportError, UnexpectedStatusCode
from resto.transports import deletion, steps


@pytest.mark.parametrize(("status", "existed"), [(200, True), (204, True), (404, False), (410, False)])
def test_delete(status, existed):
    result, requests = run(deletion.delete(ACTION, spares_directories=True), status)
    assert result is existed
    (request,) = requests
    assert (request.method, request.target, request.headers, request.body) == (
        "DELETE",
        ACTION.target,
        {"Depth": "0"},
        None,
    )


@pytest.mark.parametrize("status", [201, 202, 207, 301, 400, 401, 403, 405, 409, 423, 500])
def test_a_delete_that_failed(status):
    tries = len(steps.LOCK_DELAYS) + 1 if status == 423 else 1
    parents = [301] if status in (400, 403, 409) else []
    with pytest.raises(UnexpectedStatusCode):
        run(deletion.delete(ACTION, spares_directories=True), *[status] * tries, 404, *parents)  # it is no directory


@pytest.mark.parametrize("spares_directories", [True, False])
@pytest.mark.parametrize("status", [414, 431])
def test_nothing_is_deleted_whose_name_is_too_long_for_the_server(status, spares_directories):
    action = replace(ACTION, name="é" * 1000)
    result, requests = run(deletion.delete(action, spares_directories=spares_directories), status)
    assert result is False
    assert len(requests) == 1


def test_header_fields_may_be_too_long_for_the_server():
    with pytest.raises(UnexpectedStatusCode):
        run(deletion.delete(ACTION, spares_directories=True), 431, 404)


@pytest.mark.parametrize("status", [400, 403, 409])
def test_nothing_is_deleted_below_a_file(status):
    action = replace(ACTION, name="a/b.txt/c/d")
    result, requests = run(deletion.delete(action, spares_directories=True), status, 404, 404, (200, DATE))
    assert result is False
    assert sent(requests)[1:] == [("HEAD", f"/media/{name}") for name in ("a/b.txt/c/d", "a/b.txt/c", "a/b.txt")]


def test_apache_says_only_in_a_listing_that_it_has_a_directory():
    refused = (400, {"Server": "Apache"})
    with pytest.raises(RemoteDirectoryError):
        run(deletion.delete(ACTION, spares_directories=True), refused, 404, 404, 207)
    with pytest.raises(UnexpectedStatusCode):
        run(deletion.delete(ACTION, spares_directories=True), refused, 404, 404, 403)


def test_delete_makes_sure_that_it_is_a_file():
    result, requests = run(deletion.delete(ACTION, spares_directories=False), (200, DATE), 423, 204)
    assert result
    assert sent(requests) == [("HEAD", ACTION.target), ("DELETE", ACTION.target), ("DELETE", ACTION.target)]


@pytest.mark.parametrize("status", [404, 410])
def test_delete_of_what_is_not_there_asks_only(status):
    result, requests = run(deletion.delete(ACTION, spares_directories=False), status)
    assert not result
    assert sent(requests) == [("HEAD", ACTION.target)]


@pytest.mark.parametrize("answer", [200, 207, 301, 405, 403, (405, DATE)], ids=str)
def test_delete_of_what_may_be_a_directory_does_nothing(answer):
    with pytest.raises(TransportError, match="not certain that this is a file"):
        run(deletion.delete(ACTION, spares_directories=False), answer)


@pytest.mark.parametrize("status", [200, 204, 404, 410])
def test_a_directory_is_removed(status):
    _, requests = run(deletion.remove_directory(ACTION), 423, status)
    assert sent(requests) == [("DELETE", f"{ACTION.target}/")] * 2
    assert [request.headers for request in requests] == [{}, {}]


@pytest.mark.parametrize("status", [202, 207, 301, 400, 403, 405, 409, 500])
def test_a_directory_that_stays(status):
    with pytest.raises(UnexpectedStatusCode):
        run(deletion.remove_directory(ACTION), status)
