# SPDX-License-Identifier: Apache-2.0
"""The metadata that turns a root-file-system tarball into an Incus image.

diskimage-builder makes a tarball of a root; Incus wants beside it a small tarball with metadata.yaml and templates.
Called by `incus.upload_image`; works in memory only, on a few kilobytes.
"""

from __future__ import annotations

import io
import platform
import tarfile
import time

import yaml

from zuul_suse.datacenter import ImageFile

# A node knows its own name, as one made by a cloud's metadata service does.
_TEMPLATES = {
    "hostname.tpl": "{{ container.name }}\n",
    "hosts.tpl": (
        "127.0.0.1 localhost\n"
        "127.0.1.1 {{ container.name }}\n"
        "::1 localhost ip6-localhost ip6-loopback\n"
        "ff02::1 ip6-allnodes\n"
        "ff02::2 ip6-allrouters\n"
    ),
}
_TARGETS = {"/etc/hostname": "hostname.tpl", "/etc/hosts": "hosts.tpl"}


def metadata_tarball(image: ImageFile) -> bytes:
    """Incus' half of a split image; the image's own metadata become its properties, by which a leak is known."""
    metadata = {
        "architecture": platform.machine(),
        "creation_date": int(time.time()),
        "properties": {"name": image.name, "description": image.name}
        | {key: str(value) for key, value in image.metadata.items()},
        "templates": {
            target: {"when": ["create", "copy"], "template": template} for target, template in _TARGETS.items()
        },
    }
    files = {"metadata.yaml": yaml.safe_dump(metadata)}
    files |= {f"templates/{name}": text for name, text in _TEMPLATES.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
