"""The page of hosts, as somebody gets it who has no JavaScript."""

import pytest


pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/resto/host/"


def test_page(operator, servers):
    answer = operator.get(PAGE)
    assert answer.status_code == 200
    print(answer.text)
