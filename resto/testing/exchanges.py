"""One request from its head to its answer: refusals, hooks and faults around the action."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from resto.testing.actions import WRITES, Answer, Request, answer_for


if TYPE_CHECKING:
    from resto.testing.bodies import Body
    from resto.testing.files import Upload
    from resto.testing.service import Service


class HangUpError(Exception):
    """The connection is to be closed without an answer."""


class Exchange:
    """Decide about a request, receive its body, carry it out; in this order.

    Args:
        service: Whose files, faults and hooks to use.
        request: The head.
        body: Not read yet.
    """

    def __init__(self, service: Service, request: Request, body: Body) -> None:
        self.faults = service.faults_for(request.method)
        self._service = service
        self._request = request
        self._body = body
        self._upload: Upload | None = None
        if request.method == "PUT":
            body.cut_after = self.faults.reset_after
        self._refusal = self._refuse()

    @property
    def is_refused(self) -> bool:
        """Whether the answer is known already, without the body."""
        return self._refusal is not None

    def receive(self) -> None:
        """Read the whole body, into the file if it is an upload."""
        room = self.faults.truncate_upload
        for piece in self._body:
            self._request.body_size = self._body.size
            kept = piece if room is None else piece[:room]
            if room is not None:
                room -= len(kept)
            if self._upload is not None:
                self._store(self._upload, kept)

    def carry_out(self) -> Answer:
        """Do what was asked for.

        Raises:
            HangUpError: The server was hanging; nothing was done.
        """
        request = self._request
        if self._service.on_request is not None:
            self._service.on_request(request.method, request.path)
        if self.faults.wait_hang():
            raise HangUpError
        if self._refusal is not None:
            return self._refusal
        answer = self._act()
        if self._service.on_applied is not None:
            self._service.on_applied(request.method, request.path)
        return answer

    def abandon(self) -> None:
        """Forget an upload that was not finished. May be called at any time, more than once."""
        if self._upload is not None:
            self._upload.abandon()
            self._upload = None

    def _act(self) -> Answer:
        if self._upload is None:
            return self._service.site.act(self._request)
        upload, self._upload = self._upload, None
        return self._service.site.finish_upload(upload)

    def _store(self, upload: Upload, piece: bytes) -> None:
        try:
            upload.write(piece)
        except OSError as error:
            self._refusal = answer_for(error)
            self.abandon()

    def _refuse(self) -> Answer | None:
        refusal = self._refuse_by_credentials() or self._refuse_by_fault() or self._service.site.check(self._request)
        if refusal is not None or self._request.method != "PUT":
            return refusal
        if not self._body.is_framed:
            return Answer.text(411, "a PUT needs a Content-Length or chunks")
        started = self._service.site.begin_upload(self._request)
        if isinstance(started, Answer):
            return started
        self._upload = started
        return None

    def _refuse_by_credentials(self) -> Answer | None:
        if self._service.credentials is None:
            return None
        wanted = base64.b64encode(":".join(self._service.credentials).encode()).decode()
        scheme, _, given = self._request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic" and given.strip() == wanted:
            return None
        return Answer(401, {"WWW-Authenticate": 'Basic realm="resto", charset="UTF-8"'})

    def _refuse_by_fault(self) -> Answer | None:
        faults, method = self.faults, self._request.method
        if faults.refuse_code is not None:
            refusal = Answer.text(faults.refuse_code, "refused")
            more = {"Retry-After": faults.retry_after} if faults.retry_after else {}
            return replace(refusal, headers={**refusal.headers, **more})
        if faults.redirect is not None:
            path = self._request.path.removeprefix("/") if faults.redirect.endswith("/") else ""
            return Answer(301, {"Location": faults.redirect + path})
        if method in WRITES and faults.take_lock():
            return Answer.text(423, "locked")
        if method in WRITES and faults.readonly:
            return Answer.text(403, "read-only")
        if method in {"PUT", "MKCOL"} and faults.disk_full:
            return Answer.text(507, "disk full")
        return None
