"""Answers to PROPFIND (RFC 4918, section 14.16), as the tests write them."""

from xml.sax.saxutils import escape


DIRECTORY = "<D:resourcetype><D:collection/></D:resourcetype>"
FILE = (
    "<D:resourcetype/><D:getcontentlength>5</D:getcontentlength><D:getetag>&quot;1&quot;</D:getetag>"
    "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
)
MISSING = "<D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"


def entry(href, properties=FILE, more=""):
    """What is said of one resource."""
    ok = "<D:status>HTTP/1.1 200 OK</D:status>"
    return (
        f"<D:response><D:href>{escape(href)}</D:href>"
        f"<D:propstat><D:prop>{properties}</D:prop>{ok}</D:propstat>{more}</D:response>"
    )


def listing(*entries, head='<?xml version="1.0"?>'):
    """What is said of several."""
    return f'{head}<D:multistatus xmlns:D="DAV:">{"".join(entries)}</D:multistatus>'
