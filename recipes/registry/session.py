"""requests, as a client of registries needs it: nothing done implicitly, errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from recipes.errors import Unavailable, shortened
from recipes.oci.reference import ImageName
from recipes.registry import hosts
from recipes.registry.addresses import Guard
from recipes.registry.connections import meter, meter_and_check
from recipes.registry.host_status import Unreachable

if TYPE_CHECKING:
    from requests import Response, Session

READ_SECONDS = 30.0
ATTEMPTS = 4
MAX_WAIT_SECONDS = 10.0
"""A registry that asks to wait longer is not waited for."""

_BACKOFF_SECONDS = 0.25


def new_session(guard: Guard, *, insecure: bool) -> Session:
    """A session that follows no redirection, knows no ~/.netrc, and takes no cookies and no compressed bodies.

    It goes only where `guard` lets it, except through a proxy, which looks up names by itself. `insecure` accepts any
    certificate.
    """
    from http.cookiejar import DefaultCookiePolicy

    import requests
    import urllib3

    class Session(requests.Session):
        def get_redirect_target(self, resp: Response) -> None:
            """None: or requests would read the whole answer, and prepare the next request with what netrc holds."""

    session = Session()
    session.verify = not insecure
    if insecure:  # that is what was asked for: once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    # Some registries take a cookie as a sign of a browser.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = lambda request: request  # or requests would put in what ~/.netrc holds for the host
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("https://", "http://"):
        session.mount(scheme, _adapter(guard))
    return session


def _adapter(guard: Guard) -> Any:
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            meter_and_check(self.poolmanager, guard)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            is_new = proxy not in self.proxy_manager
            manager = super().proxy_manager_for(proxy, **options)
            if is_new:
                meter(manager)
            return manager

    return Adapter(pool_maxsize=32)


def backoff(attempt: int) -> float:
    """How many seconds to wait after the attempt of that number, counted from 0, has failed."""
    return _BACKOFF_SECONDS * 2.0**attempt


def is_retryable(error: Exception) -> bool:
    """Whether what requests raised is a connection that broke after it was made, not one that never was."""
    from requests.exceptions import ConnectionError as Broken
    from requests.exceptions import ReadTimeout
    from urllib3.exceptions import ProtocolError

    broke = type(error) is Broken and bool(error.args) and isinstance(error.args[0], ProtocolError)
    return broke or isinstance(error, ReadTimeout)


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
        raise Unavailable(f"{host} sent an invalid registry response: {plain(error)}") from error


def plain(error: BaseException) -> str:
    """The innermost cause in the words of the operating system: `Connection refused`, not a page of objects."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")>]+)", r"(Read timed out|timed out|certificate verify failed[^(]*)"):
        if match := re.search(pattern, text):
            return shortened(match[1].strip())
    return shortened(text.rpartition(": ")[2].strip("()'\" ") or type(error).__name__)
