"""The knobs that make the test server misbehave."""

from __future__ import annotations

import threading


class Faults:
    """What may go wrong, as attributes to be set at any time, also while requests are served.

    Refusals (`refuse_code`, `redirect`, `locked`, `readonly`, `disk_full`) are decided when the head of
    a request arrives, the other faults when their moment comes.
    """

    fault_methods: set[str] | None
    """Methods that the faults are limited to; None means all."""

    override_code: int | None
    """Status of every answer; the action is carried out nevertheless."""

    refuse_code: int | None
    """Status of every answer; the action is not carried out."""

    retry_after: str
    """What answers of `refuse_code` say in Retry-After; nothing if it is empty."""

    readonly: bool
    """Answer 403 to every write."""

    disk_full: bool
    """Answer 507 to PUT and MKCOL, and store nothing."""

    locked: int
    """Number of further writes that are answered 423; counts down."""

    redirect: str | None
    """Answer 301 to this URL; the path of the request is added if it ends with ``/``."""

    reset_after: int | None
    """Reset the connection after so many bytes of the body of a PUT, or of the answer to any other method.

    Shorter bodies pass. An answer without a body is reset (by 0) before its first byte, but after the action.
    """

    delay: float
    """Seconds between carrying out the action and answering; ended early by `heal` and by stopping."""

    drop_answer: bool
    """Carry out the action, then close the connection without answering."""

    drop_idle: bool
    """Close a kept-alive connection when a further request arrives on it; that request is not recorded."""

    forget_idle: bool
    """Answer nothing on a kept-alive connection when a further request arrives on it, as if a firewall had forgotten it.

    Those requests are not recorded. Other connections are made as ever.
    """

    wrong_length: int
    """Bytes added to the Content-Length of answers to GET and HEAD; the connection is closed after the real body."""

    endless: bool
    """Send the body of each answer again and again, in chunks, until the client leaves or `heal`; what has no body ends."""

    drip_head: float
    """Seconds before each byte of the heads of answers; ended early as `delay` is."""

    drip_body: float
    """Seconds before each byte of the bodies of answers; ended early as `delay` is."""

    truncate_upload: int | None
    """Bytes of a PUT that are stored; the rest is lost, the answer is success."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._interrupted = False
        self._hang = False
        self.heal()

    @property
    def hang(self) -> bool:
        """Read requests, but neither carry them out nor answer.

        Once this is false again, the connections of those requests are closed.
        """
        return self._hang

    @hang.setter
    def hang(self, value: bool) -> None:
        with self._changed:
            self._hang = value
            self._changed.notify_all()

    def heal(self) -> None:
        """Reset every fault; leave the files, the log and the hooks alone."""
        with self._changed:
            self.fault_methods = None
            self.override_code = None
            self.refuse_code = None
            self.retry_after = ""
            self.readonly = False
            self.disk_full = False
            self.locked = 0
            self.redirect = None
            self.reset_after = None
            self.delay = 0.0
            self.drop_answer = False
            self.drop_idle = False
            self.forget_idle = False
            self.wrong_length = 0
            self.endless = False
            self.drip_head = 0.0
            self.drip_body = 0.0
            self.truncate_upload = None
            self.hang = False

    def faults_for(self, method: str) -> Faults:
        """Return the faults that concern a method: these, or none."""
        methods = self.fault_methods
        return self if methods is None or method in methods else NO_FAULTS

    def take_lock(self) -> bool:
        """Tell whether a write meets a lock, and count it."""
        with self._changed:
            if self.locked <= 0:
                return False
            self.locked -= 1
            return True

    def wait_hang(self) -> bool:
        """Wait while hanging; return whether there was anything to wait for."""
        with self._changed:
            waited = self._hang
            self._changed.wait_for(lambda: self._interrupted or not self._hang)
        return waited

    def wait_delay(self) -> None:
        """Wait as long as the answer is to be delayed."""
        with self._changed:
            if self.delay:
                self._changed.wait_for(lambda: self._interrupted or not self.delay, timeout=self.delay)

    def wait_drip(self, *, body: bool) -> bool:
        """Wait before the next byte of an answer; return whether bytes are to be sent one by one."""

        def seconds() -> float:
            return self.drip_body if body else self.drip_head

        with self._changed:
            if seconds():
                self._changed.wait_for(lambda: self._interrupted or not seconds(), timeout=seconds())
            return bool(seconds()) and not self._interrupted

    def interrupt(self) -> None:
        """End every wait, present and future."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()


NO_FAULTS = Faults()
