"""The two documents of an image: its config (how to run it) and its manifest (what it is made of).

Nothing in them varies with the machine, the folder or the clock, so equal images have equal digests.
Source: OCI image-spec, "Image Configuration" and "Image Manifest".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recipes.errors import BadInput
from recipes.model import Additions, BaseImage, Descriptor, HealthCheck, ImageSettings, Layer, Platform
from recipes.oci.media_types import OCI_MANIFEST
from recipes.oci.store import platform_document

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker sets where an image says nothing."""


def source_date_epoch() -> int:
    """Seconds since 1970 for every time in an image: SOURCE_DATE_EPOCH, or 0.

    Source: reproducible-builds.org, "SOURCE_DATE_EPOCH specification". Raises: BadInput.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return 0
    # What a USTAR header can hold ends in the year 2242.
    if not (text.isascii() and text.isdigit()) or int(text) >= 8**11:
        raise BadInput(f"SOURCE_DATE_EPOCH is {text!r}", hint="it has to be a number of seconds since 1970, or unset")
    return int(text)


def config_document(
    platform: Platform, base: BaseImage, layers: Sequence[Layer], entrypoint: Sequence[str], additions: Additions
) -> dict[str, Any]:
    """The image config, with one line of history per layer."""
    created, settings = _created(), additions.settings
    env = {"PATH": DEFAULT_PATH, **dict(base.env), **dict(settings.env)}
    run: dict[str, Any] = {
        "Entrypoint": list(entrypoint),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "User": settings.user,
        "WorkingDir": settings.workdir,
    }
    if settings.cmd:
        run["Cmd"] = list(settings.cmd)
    if settings.ports:
        run["ExposedPorts"] = {port if "/" in port else f"{port}/tcp": {} for port in settings.ports}
    if settings.volumes:
        run["Volumes"] = {volume: {} for volume in settings.volumes}
    if settings.labels:
        run["Labels"] = dict(settings.labels)
    if settings.stop_signal:
        run["StopSignal"] = settings.stop_signal
    if settings.healthcheck:
        run["Healthcheck"] = _healthcheck(settings.healthcheck)
    below = [{"created": created, "comment": f"layer {n} of {base.name}"} for n, _ in enumerate(base.layers, 1)]
    return {
        **platform_document(platform),
        "created": created,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            *below,
            *({"created": created, "created_by": "fromscratch", "comment": "files and data"} for _ in additions.layers),
            {"created": created, "created_by": "fromscratch"},
        ],
    }


def settings_of(config: Mapping[str, Any]) -> ImageSettings:
    """What `config_document` said of a run: of a config of ours, which has a command for the health check if any."""
    run = config["config"]
    check = run.get("Healthcheck")
    return ImageSettings(
        user=run.get("User", ""),
        workdir=run.get("WorkingDir", "/"),
        cmd=tuple(run.get("Cmd") or ()),
        env=tuple((name, value) for name, _, value in (text.partition("=") for text in run.get("Env") or ())),
        ports=tuple(run.get("ExposedPorts") or ()),
        volumes=tuple(run.get("Volumes") or ()),
        stop_signal=run.get("StopSignal", ""),
        healthcheck=_read_healthcheck(check) if check else None,
        labels=tuple((run.get("Labels") or {}).items()),
    )


def layers_of_base(config: Mapping[str, Any]) -> int:
    """How many of the layers in a config of ours are the base's."""
    return sum("created_by" not in each for each in config["history"])


def manifest_document(
    config: Descriptor, layers: Sequence[Layer], base: BaseImage, title: str, settings: ImageSettings
) -> dict[str, Any]:
    """The manifest. A base that has no name outside this machine is identified by its digest alone."""
    annotations = {"org.opencontainers.image.created": _created(), "org.opencontainers.image.title": title}
    if base.digest:
        annotations["org.opencontainers.image.base.digest"] = base.digest
    if base.reference.startswith("docker://"):
        annotations["org.opencontainers.image.base.name"] = base.reference.removeprefix("docker://")
    elif not base.layers:
        annotations["org.opencontainers.image.base.name"] = "scratch"
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _document(config),
        "layers": [_document(layer.descriptor) for layer in layers],
        "annotations": {**annotations, **dict(settings.annotations)},
    }


def _healthcheck(check: HealthCheck) -> dict[str, Any]:
    """Not OCI's, but every engine that checks health reads it here; times in ns.

    Source: Docker Image Specification v1.2, "Healthcheck".
    """
    times = {"Interval": check.interval, "Timeout": check.timeout, "StartPeriod": check.start_period}
    return {
        "Test": ["CMD", *check.test],
        "Retries": check.retries,
        **{name: round(seconds * 1e9) for name, seconds in times.items() if seconds},
    }


def _read_healthcheck(check: Mapping[str, Any]) -> HealthCheck:
    def seconds(name: str) -> float:
        return float(check.get(name, 0)) / 1e9

    return HealthCheck(
        tuple(check["Test"][1:]),
        interval=seconds("Interval"),
        timeout=seconds("Timeout"),
        start_period=seconds("StartPeriod"),
        retries=check["Retries"],
    )


def _created() -> str:
    return datetime.fromtimestamp(source_date_epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
