# SPDX-License-Identifier: Apache-2.0
"""A built image in many datacenters: uploaded to all, known by one text, deleted wherever it is.

Called by a shell in its own threads (Nodepool's builder), which wait for the result. What failed in some
datacenter is missing in the text that comes out; to make up for it later is the shell's business.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from zuul_suse.datacenter import DatacenterError, Gone, ImageFile, TryElsewhere

if TYPE_CHECKING:
    from zuul_suse.fleet.member import Member

UPLOADS = 4  # at a time; more would share the same line out


def join_images(images: Mapping[str, str]) -> str:
    """One text for an image's ids in several datacenters, fit to be shown and stored."""
    return " ".join(f"{datacenter}={image}" for datacenter, image in sorted(images.items()))


def split_images(text: str) -> dict[str, str]:
    """The inverse of `join_images`."""
    pairs = (part.partition("=") for part in text.split())
    return {datacenter: image for datacenter, _, image in pairs}


def upload(members: Mapping[str, Member], files: Mapping[str, ImageFile], log: logging.Logger) -> dict[str, str]:
    """Upload the file for each datacenter; those that fail go without, and only if all fail so does this."""
    with ThreadPoolExecutor(UPLOADS, thread_name_prefix="openstack-api-upload") as pool:
        calls = {
            name: pool.submit(member.datacenter.upload_image, files[name])
            for name, member in members.items()
            if name in files
        }
    images: dict[str, str] = {}
    errors: list[str] = []
    for name, call in calls.items():
        error = call.exception()
        if error is None:
            images[name] = call.result()
        elif isinstance(error, DatacenterError):
            log.error("Image %s is missing in datacenter %s: %s", files[name].name, name, error)
            errors.append(str(error))
        else:
            raise error
    if not images:
        wanted = next(iter(files.values())).name
        raise TryElsewhere(f"image {wanted} could not be uploaded to any datacenter: {'; '.join(errors)}")
    return images


def delete(members: Mapping[str, Member], images: Mapping[str, str], log: logging.Logger) -> None:
    """Delete an image wherever it is. If a datacenter fails, the caller is told, to try again later."""
    errors: list[DatacenterError] = []
    for name, image in images.items():
        try:
            if name not in members:
                raise Gone(f'datacenter "{name}" is not one of {", ".join(members)}')
            members[name].datacenter.delete_image(image)
        except Gone as error:
            log.info("Image %s needs no deletion: %s", image, error)
        except DatacenterError as error:
            errors.append(error)
    if errors:
        raise errors[0]
