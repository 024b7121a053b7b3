"""What the parts of an image are called: OCI's media types, and Docker's for the same documents and the same bytes.

Both are read, OCI's are written. What a config is called does not decide anything: a manifest says which blob it is.
Source: OCI image-spec, "OCI Image Media Types"; Docker, "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

from recipes.model import Compression

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"

_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = (OCI_INDEX, _DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, _DOCKER_MANIFEST)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
"""The Accept header of a request for a manifest or an index."""

OCI_LAYERS: dict[Compression, str] = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
"""What a layer is called that is written here."""

_DOCKER_LAYERS: dict[Compression, str] = {
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "none": "application/vnd.docker.image.rootfs.diff.tar",
}

_FOREIGN_LAYERS = (
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


def oci_layer(media_type: str) -> str | None:
    """What OCI calls a layer of this type; None for one that cannot be read."""
    return _OCI_NAMES.get(media_type)


def is_foreign(media_type: str) -> bool:
    """Whether a layer of this type is fetched from where its manifest says, as registries may not hand it out."""
    return media_type.startswith(_FOREIGN_LAYERS)


_OCI_NAMES = {name: oci for compression, oci in OCI_LAYERS.items() for name in (oci, _DOCKER_LAYERS[compression])}
