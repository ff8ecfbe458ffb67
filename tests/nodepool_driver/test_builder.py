# SPDX-License-Identifier: Apache-2.0
"""A real nodepool-builder uploads through the driver, and a launcher makes a node from what it uploaded.

Only diskimage-builder itself is replaced, by a program that copies a tiny root.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from nodepool.zk import zookeeper as zk

from zuul_suse.fleet import split_images

from ..datacenter.lxd_daemon import Daemon
from .conftest import BIN, Installation, running, wait_for
from .twin import Twin

COPIER = """#!{python}
import shutil, sys
shutil.copy({root!r}, sys.argv[sys.argv.index("-o") + 1] + ".tar")
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    return Twin(tmp_path_factory.mktemp("datacenters") / "big")


@pytest.fixture(scope="module")
def nodepool(
    install: Callable[..., Installation],
    daemon: Daemon,
    tiny_image: Path,
    big: Twin,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    big.fault("upload-refused")
    folder = tmp_path_factory.mktemp("builder")
    copier = folder / "copy-image"
    copier.write_text(COPIER.format(python=sys.executable, root=str(tiny_image)))
    copier.chmod(0o755)
    datacenters = [
        # The emptiest, but the upload to it fails at first, so no node may begin there.
        {"name": "big", "kind": "fake", "state-dir": str(big.folder)},
        {"name": "local", "kind": "incus", "max-servers": 3, **daemon.options()},
    ]
    provider = {
        "name": "suse",
        "driver": "suse",
        "datacenters": datacenters,
        "diskimages": [{"name": "tiny"}],
        "pools": [{"name": "main", "labels": [{"name": "tiny", "diskimage": "tiny", "cpus": 1, "ram": 64}]}],
    }
    diskimage = {"name": "tiny", "formats": ["tar"], "dib-cmd": str(copier), "elements": ["x"], "username": "root"}
    more = {"diskimages": [diskimage], "images-dir": str(folder), "build-log-dir": str(folder)}
    made = install(provider, {"tiny": 0}, **more)
    command = [str(BIN / "nodepool-builder"), "-f", "-d", "-c", str(made.config_file)]
    with running(command, made.folder / "builder.log"):
        yield made


def newest_upload(nodepool: Installation) -> zk.ImageUpload | None:
    return nodepool.zk.getMostRecentImageUpload("tiny", "suse")


def test_built_image_is_uploaded_and_a_node_is_made_of_it(nodepool: Installation, daemon: Daemon) -> None:
    upload = wait_for("an upload is ready", lambda: newest_upload(nodepool), 60)
    assert "big=" not in upload.external_id
    datacenter, _, fingerprint = upload.external_id.partition("=")
    assert datacenter == "local"
    listed = daemon.run("lxc", "--project", "zuul-suse-test", "image", "show", fingerprint)
    assert f"nodepool_upload_id: {upload.id!r}" in listed.replace('"', "'")
    (node,) = nodepool.fulfilled(nodepool.request("tiny"), 60)
    assert node.az == "local"
    assert node.username == "root"
    assert node.image_id.endswith(f"/images/{upload.id}")
    nodepool.give_back([node])
    wait_for("the node is gone", lambda: not nodepool.nodes(), 30)


def test_upload_that_failed_in_a_datacenter_is_made_up_for_there(nodepool: Installation, big: Twin) -> None:
    before = newest_upload(nodepool)
    assert before is not None
    big.fault("none")
    after = wait_for(
        "the image is in both datacenters",
        lambda: (upload := newest_upload(nodepool)) and "big=" in upload.external_id and upload,
        200,
        pause=1,
    )
    assert after.id == before.id
    assert "local=" in after.external_id
    (record,) = big.images().values()
    assert record["metadata"]["nodepool_upload_id"] == before.id
    assert "Image tiny-" in (log := (nodepool.folder / "builder.log").read_text())
    assert " is in datacenter big now" in log
    (node,) = nodepool.fulfilled(nodepool.request("tiny"), 60)
    assert node.az == "big"
    nodepool.give_back([node])
    wait_for("the node is gone", lambda: not nodepool.nodes(), 30)


def test_images_of_renamed_datacenters_are_used_at_once_and_an_added_one_gets_them(
    nodepool: Installation, big: Twin, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = newest_upload(nodepool)
    assert before is not None
    added = Twin(tmp_path_factory.mktemp("datacenters") / "added")
    config = yaml.safe_load(nodepool.config_file.read_text())
    datacenters = config["providers"][0]["datacenters"]
    datacenters[0]["name"], datacenters[1]["name"] = "large", "near"
    datacenters.append({"name": "added", "kind": "fake", "max-servers": 0, "state-dir": str(added.folder)})
    read = len(nodepool.log)
    nodepool.config_file.write_text(yaml.safe_dump(config))
    wait_for("the old provider has stopped", lambda: "StateMachineProvider.suse: Stopped" in nodepool.log[read:], 30)
    (node,) = nodepool.fulfilled(nodepool.request("tiny"), 60)
    assert node.az in ("large", "near")
    nodepool.give_back([node])
    after = wait_for(
        "the image is recorded everywhere",
        lambda: (upload := newest_upload(nodepool)) and "added=" in upload.external_id and upload,
        200,
        pause=1,
    )
    images = split_images(after.external_id)
    assert after.id == before.id
    assert (images["large"], images["near"]) == (images["big"], images["local"])
    assert len(big.images()) == len(added.images()) == 1, "it was uploaded again"
    wait_for("the node is gone", lambda: not nodepool.nodes(), 30)
