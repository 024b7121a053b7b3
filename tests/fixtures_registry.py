"""Private registries for the tests: Debian's docker-registry on a free port of the loopback, with and without a login.

Images for them are written here as OCI layouts, and pushed with skopeo: two implementations that are not ours.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes.oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYERS, OCI_MANIFEST
from tests.need import need_tool

USER, PASSWORD = "ali", "open sesame"
_HTPASSWD = "ali:$2b$05$IcTIVFfPzaTkwg856D78zet/XCxrtecIt/kqqzA/DEc2cnP13htNa\n"


@dataclass(frozen=True)
class LocalRegistry:
    """A running registry. `host` is 127.0.0.1:PORT; `storage` is where its blobs lie."""

    host: str
    storage: Path
    login: bool = False

    def push(self, layout: Path, name: str, tag: str = "latest") -> str:
        """Push an image (or a whole index) of a layout; returns the reference that can be pulled."""
        skopeo = need_tool("skopeo")
        options = ["--multi-arch=all", "--preserve-digests", "--dest-tls-verify=false"]
        if self.login:
            options.append(f"--dest-creds={USER}:{PASSWORD}")
        target = f"docker://{self.host}/{name}:{tag}"
        command = [skopeo, "--insecure-policy", "copy", "-q", *options, f"oci:{layout}", target]
        subprocess.run(command, check=True, capture_output=True)
        return target

    def read(self, name: str) -> bytes:
        """The manifest or index that `repository:tag` stands for, as skopeo gets it."""
        creds = [f"--creds={USER}:{PASSWORD}"] if self.login else []
        command = [
            need_tool("skopeo"),
            "inspect",
            "--raw",
            "--tls-verify=false",
            *creds,
            f"docker://{self.host}/{name}",
        ]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def blob(self, digest: str) -> Path:
        """The file in which the registry keeps a blob."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry that lets everybody in."""
    with serve(tmp_path_factory.mktemp("registry"), login=False) as running:
        yield running


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry that asks for USER and PASSWORD."""
    with serve(tmp_path_factory.mktemp("private-registry"), login=True) as running:
        yield running


@pytest.fixture(scope="session")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry that can only be read from."""
    with serve(tmp_path_factory.mktemp("closed-registry"), login=False, readonly=True) as running:
        yield running


@pytest.fixture(scope="session")
def tls_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry with a certificate that it has signed itself."""
    folder = tmp_path_factory.mktemp("tls-registry")
    name, names = "/CN=localhost", "subjectAltName=IP:127.0.0.1"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", name, "-addext", names]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([need_tool("openssl"), *words, *files], check=True, capture_output=True)
    with serve(folder, login=False, tls=True) as running:
        yield running


@contextlib.contextmanager
def serve(folder: Path, *, login: bool, readonly: bool = False, tls: bool = False) -> Iterator[LocalRegistry]:
    """A registry that keeps everything in `folder`, while the block runs."""
    program = need_tool("docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    storage: dict[str, object] = {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}}
    if readonly:
        storage["maintenance"] = {"readonly": {"enabled": True}}
    http_settings: dict[str, object] = {"addr": host}
    if tls:
        http_settings["tls"] = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": storage,
        "http": http_settings,
    }
    if login:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "the cave", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML, too
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            _wait_for(host, process, folder / "log")
            yield LocalRegistry(host, folder / "storage", login)
        finally:
            process.terminate()
            process.wait()


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(host, timeout=5)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    pytest.fail(f"docker-registry did not start: {log.read_text(errors='replace')[-2000:]}")


# ── images to push ───────────────────────────────────────────────────────────────────────────────────────────────────


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


class LayoutWriter:
    """Writes an OCI layout, one image after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[dict[str, object]] = []
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self._write_index()

    def blob(self, data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def image(
        self,
        *tars: bytes,
        platform: str = "linux/amd64",
        env: tuple[str, ...] = (),
        layer_type: str = "",
        tag: str = "",
    ) -> dict[str, object]:
        """Add an image with these layers; returns its descriptor. With `tag` the layout's index names it."""
        os_name, architecture, *variant = platform.split("/")
        about: dict[str, object] = {"os": os_name, "architecture": architecture}
        about |= {"variant": variant[0]} if variant else {}
        diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars]
        config = {**about, "config": {"Env": list(env)}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        layer_type = layer_type or OCI_LAYERS["gzip"]
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(json.dumps(config).encode(), OCI_CONFIG),
            "layers": [self.blob(gzip.compress(data, mtime=0), layer_type) for data in tars],
        }
        return self.add(self.blob(json.dumps(manifest).encode(), str(manifest["mediaType"])) | {"platform": about}, tag)

    def index(self, *images: dict[str, object], tag: str = "") -> dict[str, object]:
        """Add an index over these images."""
        media_type = OCI_INDEX
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(images)}
        return self.add(self.blob(json.dumps(index).encode(), media_type), tag)

    def add(self, descriptor: dict[str, object], tag: str) -> dict[str, object]:
        if tag:
            self.entries.append(descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}})
            self._write_index()
        return descriptor

    def _write_index(self) -> None:
        index = {"schemaVersion": 2, "manifests": self.entries}
        (self.folder / "index.json").write_text(json.dumps(index))


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Docker configuration of the test's own: nobody is logged in anywhere."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"
