"""What is said of uploads whose answer comes too late."""

from resto.transports.late import log_late


def test_the_log_says_what_to_do(caplog):
    log_late("https://media-1/", "a\u202eb", 0.5)
    assert caplog.messages == [
        "https://media-1/ has stored a\\u202eb, but did not answer within 0.5 s: the option 'timeout' is too short for it."
    ]
