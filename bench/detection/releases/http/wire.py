"""One POST whose reply is read piece by piece, on the HTTP library that TRANSPORT names: httpx, requests or http.client."""

import http.client
import os
import urllib.parse

TRANSPORT = os.environ.get("TRANSPORT", "http.client")


class Broken(Exception):
    """The connection failed, or was silent for too long."""


class Reply:
    """Status, headers with small names, `read()` for the next piece (empty at the end), `close()`."""

    def __init__(self, status, headers, read, close):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.read = read
        self.close = close


def with_httpx(url, body, headers, timeout):
    client = httpx.Client(timeout=timeout)
    try:
        response = client.send(client.build_request("POST", url, content=body, headers=headers), stream=True)
    except httpx.HTTPError as error:
        client.close()
        raise Broken(type(error).__name__) from None
    pieces = response.iter_bytes()

    def read():
        try:
            return next(pieces, b"")
        except httpx.HTTPError as error:
            raise Broken(type(error).__name__) from None

    return Reply(response.status_code, response.headers.items(), read, client.close)


def with_requests(url, body, headers, timeout):
    try:
        response = requests.post(url, data=body, headers=headers, timeout=timeout, stream=True, allow_redirects=False)
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise Broken(type(error).__name__) from None

    def read():
        try:
            return response.raw.read1(65536, decode_content=True)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise Broken(type(error).__name__) from None

    return Reply(response.status_code, response.headers.items(), read, response.close)


def with_http_client(url, body, headers, timeout):
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout)
    try:
        connection.request("POST", place.path, body, headers)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Broken(type(error).__name__) from None

    def read():
        try:
            piece = response.read1(65536)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Broken(type(error).__name__) from None
        if not piece and response.length:
            raise Broken("IncompleteRead")
        return piece

    return Reply(response.status, response.getheaders(), read, connection.close)


if TRANSPORT == "httpx":
    import httpx

    post = with_httpx
elif TRANSPORT == "requests":
    import requests
    import urllib3

    post = with_requests
else:
    post = with_http_client
