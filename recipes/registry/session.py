"""requests, as a client of registries needs it: time-outs and retries that a user can wait for, errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from recipes.errors import Unavailable
from recipes.package.reference import ImageName
from recipes.registry import hosts
from recipes.registry.reach import Unreachable

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

READ_SECONDS = 30.0
ATTEMPTS = 4
BACKOFF_SECONDS = 0.25
MAX_WAIT_SECONDS = 10.0
"""A registry that asks to wait longer is not waited for."""


def new_session(retries: int, *, insecure: bool) -> Session:
    """A session that keeps no cookies: some registries take one as a sign of a browser.

    `retries` is how often a GET or HEAD is asked again that fails in passing; `insecure` accepts any certificate.
    """
    from http.cookiejar import DefaultCookiePolicy

    import requests
    import urllib3

    session = requests.Session()
    session.verify = not insecure
    if insecure:  # that is what was asked for: once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = lambda request: request  # or requests would put in what ~/.netrc holds for the host
    for scheme in ("https://", "http://"):
        session.mount(scheme, _adapter(retries))
    return session


def _adapter(retries: int) -> Any:
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class Adapter(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            kwargs["timeout"] = kwargs.get("timeout") or (hosts.SECONDS, READ_SECONDS)  # oras's own requests have none
            return super().send(request, *args, **kwargs)

    retry = Retry(
        total=retries,
        connect=0,  # who does not answer once is not there
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=(500, 502, 503, 504) if retries else (),
        allowed_methods=("GET", "HEAD"),
        raise_on_status=False,
        respect_retry_after_header=False,  # it may ask for an hour
    )
    return Adapter(max_retries=retry, pool_maxsize=32)


def check_name(url: str) -> None:
    """Raises: ConnectionError of requests where the host's name is not known, in less time than the resolver takes."""
    from requests.exceptions import ConnectionError as Broken
    from requests.utils import get_environ_proxies

    if get_environ_proxies(url):
        return  # then the proxy looks it up
    try:
        hosts.look_up(urlsplit(url).hostname or "")
    except OSError as error:
        raise Broken(str(error)) from error


@contextmanager
def our_errors(image: ImageName) -> Iterator[None]:
    """What requests raises in the block, as an Unreachable or an Unavailable that names the registry of `image`."""
    import requests
    from requests.exceptions import ConnectionError as Broken
    from requests.exceptions import SSLError, Timeout

    host = image.host
    try:
        yield
    except SSLError as error:
        hint = "put its authority's certificate into the system's store, or name it in REQUESTS_CA_BUNDLE"
        if image.is_loopback:
            hint += "; or use --insecure"
        raise Unavailable(f"{host} cannot be trusted: {plain(error)}", hint) from error
    except (Broken, Timeout) as error:
        hint = "is a registry running there?" if image.is_loopback else "is there a network?"
        raise Unreachable(f"{host} cannot be reached: {plain(error)}", hint) from error
    except (requests.RequestException, ValueError, KeyError) as error:
        raise Unavailable(f"{host} does not answer as a registry does: {plain(error)}") from error


def plain(error: BaseException) -> str:
    """The innermost cause in the words of the operating system: `Connection refused`, not a page of objects."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")>]+)", r"(Read timed out|timed out|certificate verify failed[^(]*)"):
        if match := re.search(pattern, text):
            return match[1].strip()
    return text.rpartition(": ")[2].strip("()'\" ") or type(error).__name__
