"""Where a registry sends us is checked before anything is sent there, and no password ever goes along."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.errors import BadInput, RecipeError, Unavailable
from recipes.oci.reference import image_name
from recipes.registry.client import Client
from tests.fixtures_registry import PASSWORD, USER
from tests.need import need
from tests.registry.hostile import Script, Server, always, answer, certificate, own_address, serving_script

pytestmark = pytest.mark.usefixtures("docker_config")

LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def ask(registry: Server, method: str = "GET") -> bytes:
    """The body of a blob of the registry, wherever that sends us."""
    with Client(image_name(f"{registry.host}/a:1"), retries=0).ask(method, "blobs/x") as found:
        assert found.status == 200
        return found.body(100)


def sending_to(location: str) -> Script:
    """A registry that sends all who ask for something elsewhere, with a cookie."""
    redirection = answer(307, Location=location, Set_Cookie="crumb=1; Domain=127.0.0.2")
    return lambda connection, head: connection.sendall(answer(200) if " /v2/ " in head else redirection)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ~/.netrc that has a password for every host."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.2 login ali password sesame\ndefault login ali password sesame\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("location", ["http://TARGET/there", "http://me:sesame@TARGET/", "http://TARGET\\@REGISTRY/"])
def test_no_password_follows_a_redirection(docker_config: Path, method: str, location: str) -> None:
    """Neither what ~/.netrc holds, nor the registry's own login, nor a cookie is sent to where it sends us.

    Nor is a server taken for the registry whose address is read in one way here, and in another one where it is sent.
    """
    with serving_script(always(answer(200, b"there"))) as target:

        def script(connection: socket.socket, head: str) -> None:
            challenge = answer(401, WWW_Authenticate="Basic", Set_Cookie="crumb=1")
            storage = location.replace("TARGET", target.host).replace("REGISTRY", registry.host)
            sent = answer(302, Location=storage, Set_Cookie="crumb=1; Path=/")
            connection.sendall(answer(200) if " /v2/ " in head else sent if "Authorization" in head else challenge)

        with serving_script(script, "127.0.0.2") as registry:
            auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            docker_config.write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
            ask(registry, method)
    assert f"Authorization: {LOGIN}" in registry.heads[-1]
    assert [head.split()[0] for head in target.heads] == [method]
    assert not any("sesame" in head or "Authorization" in head or "Cookie" in head for head in target.heads)
    assert not any("Cookie" in head for head in registry.heads)


@pytest.mark.parametrize(
    ("status", "here", "there"),
    [*((status, "127.0.0.1", "127.0.0.2") for status in (301, 302, 303, 307, 308)),
     (307, "127.0.0.1", "::1"), (307, "::1", "127.0.0.1")],
)  # fmt: skip
def test_a_redirection_on_this_machine_is_followed(status: int, here: str, there: str) -> None:
    """A registry on loopback may send us to another server there, also in plain HTTP."""
    need("::1" not in (here, there) or socket.has_dualstack_ipv6(), "IPv6")
    with (
        serving_script(always(answer(200, b"there")), there) as target,
        serving_script(
            lambda connection, head: connection.sendall(
                answer(200) if " /v2/ " in head else answer(status, Location=f"http://{target.host}/there")
            ),
            here,
        ) as registry,
    ):
        assert ask(registry) == b"there"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize(
    "location",
    [
        "http://registry.example.org/x",
        "http://192.168.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://2852039166/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://１２７.0.0.1/".encode().decode("latin-1"),
        "https:///none",
        "https://127.0.0.1:none/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
    ],
)
def test_where_no_registry_may_send_us(method: str, location: str) -> None:
    """Plain HTTP elsewhere, link-local and special addresses, and what is not an address: for each method."""
    with serving_script(sending_to(location)) as registry:
        client = Client(image_name(f"{registry.host}/a:1"), retries=0)
        with pytest.raises(RecipeError, match="not safe"):
            client.ask(method, "blobs/x", body=b"data" if method == "PUT" else None)


def test_uploads_stay_or_go_over_tls() -> None:
    """What is sent goes to no other server in plain HTTP, also on this machine."""
    with (
        serving_script(always(answer(201)), "127.0.0.2") as target,
        serving_script(sending_to(f"http://{target.host}/there")) as registry,
    ):
        client = Client(image_name(f"{registry.host}/a:1"), retries=0)
        with pytest.raises(BadInput, match="not safe: it is plain HTTP"):
            client.ask("PUT", "blobs/x", body=b"data")
    assert not target.bytes


def test_redirections_end() -> None:
    """A registry that sends us round in circles is an error, after a few rounds."""
    with serving_script(sending_to("/v2/again")) as registry:
        with pytest.raises(Unavailable, match="redirects more than"):
            ask(registry)
        assert len(registry.heads) < 10


def test_a_redirection_says_where_to() -> None:
    """A redirection without a Location is an error that says so."""
    nowhere = lambda connection, head: connection.sendall(answer(200 if " /v2/ " in head else 302))  # noqa: E731
    with serving_script(nowhere) as registry, pytest.raises(Unavailable, match="no Location"):
        ask(registry)


# ── a registry that is not on this machine ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, list[str]]]:
    """A registry with TLS at an address of this machine that others reach, too. It sends us to the last of the list."""
    address = own_address()
    tls, file = certificate(tmp_path, f"IP:{address}", "IP:127.0.0.1", "DNS:storage.example.org")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    locations = [""]

    def script(connection: socket.socket, head: str) -> None:
        found = answer(200, b"there") if "/there" in head else answer(307, Location=locations[-1])
        connection.sendall(found)

    with serving_script(script, address, tls=tls) as registry:
        yield registry, locations


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Server]:
    """A server with the same certificate that only this machine reaches."""
    folder = tmp_path / "inside"
    folder.mkdir()
    tls, _ = certificate(folder, "IP:127.0.0.1")
    with serving_script(always(answer(200, b"secret")), tls=tls) as server:
        yield server


def test_it_may_send_us_to_where_it_is(outside: tuple[Server, list[str]]) -> None:
    """One in a private network sends us about in it; REQUESTS_CA_BUNDLE says whom to trust."""
    registry, locations = outside
    locations.append(f"https://{registry.address}:{registry.port}/there")
    assert ask(registry) == b"there"


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.1:PORT/", "https://127.1:PORT/", "https://2130706433:PORT/", "https://localhost:PORT/"],
)
def test_it_does_not_send_us_to_this_machine(outside: tuple[Server, list[str]], inside: Server, location: str) -> None:
    """However the address is spelled, nobody even connects to it."""
    registry, locations = outside
    locations.append(location.replace("PORT", str(inside.port)))
    with pytest.raises(BadInput, match="not safe: it is an address of this machine"):
        ask(registry)
    assert not inside.bytes


def test_a_name_is_what_it_is_resolved_to(
    outside: tuple[Server, list[str]], inside: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads to this machine only when it is connected to is found out before a byte is sent."""
    registry, locations = outside
    locations.append(f"https://storage.example.org:{inside.port}/")
    real = socket.getaddrinfo
    answers = iter([registry.address])

    def rebinding(host: str, *rest: int) -> object:
        return real(next(answers, "127.0.0.1") if host == "storage.example.org" else host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    # What somebody would see who looked before connecting.
    assert socket.getaddrinfo("storage.example.org", 1)[0][4][0] == registry.address
    with pytest.raises(BadInput, match=r"storage\.example\.org.*127\.0\.0\.1 is an address of this machine"):
        ask(registry)
    assert not inside.bytes


def test_it_does_not_send_us_out_of_tls(outside: tuple[Server, list[str]]) -> None:
    """From https to http is refused, also on the registry's own host; the hint says what it may come from."""
    registry, locations = outside
    locations.append(f"http://{registry.address}:{registry.port}/there")
    with pytest.raises(BadInput, match="not safe: it is plain HTTP") as caught:
        ask(registry)
    assert "X-Forwarded-Proto" in caught.value.hint


# ── through a proxy, which resolves names by itself ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "location",
    ["https://10.0.0.1/", "https://[fd00::1]/", "https://127.1/", "https://localhost/", "https://169.254.169.254/"],
)
def test_a_registry_on_the_internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    """Behind a proxy of the environment a registry is reached, and what it sends us to is checked as it is written."""
    tls, file = certificate(tmp_path, "DNS:registry.example.org", "DNS:storage.example.org")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    locations = ["https://storage.example.org/there", location]

    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(answer(200, b"there") if "/there" in head else answer(307, Location=locations.pop(0)))

    with serving_script(script, tls=tls, proxy=True) as proxy:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        registry = Server("registry.example.org", 443)
        assert ask(registry) == b"there"
        with pytest.raises(BadInput, match="not safe"):
            ask(registry)
    named = [head.split()[1] for head in proxy.heads if head.startswith("CONNECT")]
    assert set(named) == {"registry.example.org:443", "storage.example.org:443"}


def test_plain_http_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry on this machine is asked through the proxy, if that is what the environment says."""
    with serving_script(always(answer(200, b"by proxy"))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert ask(Server("127.0.0.3", 5000)) == b"by proxy"
    assert proxy.heads[-1].startswith("GET http://127.0.0.3:5000/v2/a/blobs/x ")


# ── token servers ────────────────────────────────────────────────────────────────────────────────────────────────────


def challenging(realm: str) -> Script:
    """A registry that asks for a token of `realm`."""
    return always(answer(401, WWW_Authenticate=f'Bearer realm="{realm}",service="cave"'))


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.example.org/token",
        "http://192.168.0.1/token",
        "http://OWN/token",
        "https://169.254.169.254/token",
        "https:token",
        "ftp://127.0.0.1/",
        "token",
        "",
    ],
)
def test_a_login_goes_to_no_unsafe_realm(realm: str) -> None:
    """A realm in plain HTTP is one on this machine, and none is where no registry may send us."""
    realm = realm.replace("OWN", own_address()) if "OWN" in realm else realm
    unsafe = r"to send the login to .* which is not safe"
    with serving_script(challenging(realm)) as registry, pytest.raises(BadInput, match=unsafe):
        ask(registry)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_registry_elsewhere_has_no_realm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A registry that is not on this machine does not have tokens asked for on it."""
    address = own_address()
    tls, file = certificate(tmp_path, f"IP:{address}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with (
        serving_script(always(answer(200, b'{"token": "x"}'))) as here,
        serving_script(challenging(f"{scheme}://{here.host}/token"), address, tls=tls) as registry,
    ):
        with pytest.raises(BadInput, match=r"to send the login to .* which is not safe"):
            ask(registry)
        assert not here.bytes


def test_a_token_server_does_not_send_the_login_on(docker_config: Path) -> None:
    """A token server that redirects to another server is an error, and that one hears nothing."""
    with (
        serving_script(always(answer(200, b'{"token": "x"}')), "127.0.0.2") as other,
        serving_script(always(answer(307, Location=f"http://{other.host}/token"))) as tokens,
        serving_script(challenging(f"http://{tokens.host}/token")) as registry,
    ):
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        docker_config.write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
        with pytest.raises(Unavailable, match=r"redirects the login to 127\.0\.0\.2"):
            ask(registry)
        assert f"Authorization: {LOGIN}" in tokens.heads[-1]
        assert not other.bytes
