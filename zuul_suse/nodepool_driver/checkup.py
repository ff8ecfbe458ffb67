# SPDX-License-Identifier: Apache-2.0
"""Looks whether the datacenters of a nodepool.yaml can do what it asks of them; `zuul-suse doctor` shows the result.

One thread per datacenter, each within one time limit: what hasn't answered by then is told as such, and its thread is
a daemon that ends with the process. Makes no server and changes nothing.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from nodepool.config import Config, openConfig

from zuul_suse.datacenter import Datacenter, DatacenterError, Finding, Order, Quota, WrongConfiguration
from zuul_suse.datacenter.kinds import load_kind
from zuul_suse.nodepool_driver import options
from zuul_suse.nodepool_driver.config import SuseLabel, SuseProviderConfig


@dataclass
class Examined:
    """A datacenter and what was found there so far; `provider` alone is what concerns all of its datacenters."""

    provider: str
    datacenter: str
    findings: list[Finding] = field(default_factory=list)
    limits: Quota | None = None

    @property
    def well(self) -> bool:
        return all(finding.ok for finding in self.findings)


def read_providers(path: Path) -> list[SuseProviderConfig]:
    """The providers with `driver: suse` of a nodepool.yaml; others are left out."""
    try:
        with path.open():  # Nodepool would wait for a file that isn't there
            content = openConfig(str(path), os.environ)
    except OSError as error:
        raise WrongConfiguration(f"{path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise WrongConfiguration(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise WrongConfiguration(f"{path}: expected a map")
    whole = Config()
    try:
        whole.setDiskImages(content.get("diskimages"))
        whole.setLabels(content.get("labels"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WrongConfiguration(f"{path}: labels or diskimages: {error!r}; ask nodepool config-validate") from error
    sections = [given for given in content.get("providers") or [] if given.get("driver") == "suse"]
    if not sections:
        raise WrongConfiguration(f"{path}: providers: none has driver: suse")
    providers = [SuseProviderConfig(given) for given in sections]
    for provider in providers:
        provider.load(whole)
    return providers


def check_up(provider: SuseProviderConfig, seconds: float) -> Iterator[Examined]:
    """Every datacenter of a provider in the order of the file, then what concerns all of them."""
    began = time.monotonic()
    every = [_Examination(provider, given) for given in provider.provider["datacenters"]]
    for examination in every:
        examination.start()
    for examination in every:
        examination.join(max(0.0, began + seconds - time.monotonic()))
        yield examination.result(seconds)
    yield _together(provider, [examination.examined for examination in every])


class _Examination(threading.Thread):
    """One datacenter."""

    def __init__(self, provider: SuseProviderConfig, given: dict[str, Any]) -> None:
        super().__init__(name=f"examine-{given['name']}", daemon=True)
        self.examined = Examined(provider.name, given["name"])
        self._provider = provider
        self._given = given

    def run(self) -> None:
        own = {option.name for option in options.DATACENTER}
        settings = {key: value for key, value in self._given.items() if key not in own}
        datacenter = load_kind(self._given["kind"]).open_datacenter(self._given["name"], settings)
        labels = [label for label in _labels(self._provider) if self._may_run(label)]
        orders = [self._order(label) for label in labels]
        try:
            for finding in datacenter.examine(orders):
                self.examined.findings.append(finding)
            if any(finding.ok and finding.check in ("quota", "limits") for finding in self.examined.findings):
                self.examined.limits = datacenter.limits()
                self.examined.findings += _built_images(datacenter, labels)
        except DatacenterError as error:
            self.examined.findings.append(Finding("reachable", False, str(error)))
        except Exception as error:  # a fault of ours in one datacenter must not hide the others
            self.examined.findings.append(Finding("doctor", False, repr(error)))
        finally:
            datacenter.close()

    def _may_run(self, label: SuseLabel) -> bool:
        return label.datacenters is None or self._given["name"] in label.datacenters

    def _order(self, label: SuseLabel) -> Order:
        """What a launch would ask for; a built image has another id in every datacenter and is looked at apart."""
        image = label.cloud_image.image_in(self._given["name"]) if label.cloud_image else ""
        return Order(label.name, image, label.need, label.config, {}, label.settings[self._given["kind"]])

    def result(self, seconds: float) -> Examined:
        """What was found; if it still goes on, that too."""
        if self.is_alive():
            found = [*self.examined.findings, Finding("reachable", False, f"no answer within {seconds:g} s")]
            return Examined(self.examined.provider, self.examined.datacenter, found)
        return self.examined


def _labels(provider: SuseProviderConfig) -> list[SuseLabel]:
    return [label for pool in provider.pools.values() for label in pool.labels.values()]


def _built_images(datacenter: Datacenter, labels: list[SuseLabel]) -> Iterator[Finding]:
    """Whether a build of every built image is there."""
    wanted = sorted({label.diskimage.name for label in labels if label.diskimage})
    listed = [image.name for image in datacenter.list_images()] if wanted else []
    for name in wanted:
        builds = [build for build in listed if name in build]
        there = f"{name}: {len(builds)} uploaded"
        yield Finding("built images", bool(builds), there if builds else f"{name}: nodepool-builder uploaded none yet")


def _together(provider: SuseProviderConfig, every: list[Examined]) -> Examined:
    """Whether all quotas together are enough for the pools; where one isn't known nothing can be said."""
    result = Examined(provider.name, "all")
    wanted: Mapping[str, float] = {
        pool.name: pool.max_servers for pool in provider.pools.values() if math.isfinite(pool.max_servers)
    }
    if not wanted:
        result.findings.append(Finding("max-servers", True, "no pool has a limit: the quotas are the limit"))
        return result
    asked = ", ".join(f"pool {name}: {number or '0 (gets no more nodes)'}" for name, number in wanted.items())
    missing = [examined.datacenter for examined in every if examined.limits is None]
    if missing:
        detail = f"{asked}; the limits of {', '.join(missing)} are not known"
        result.findings.append(Finding("max-servers", True, detail))
        return result
    total = sum(examined.limits.instances for examined in every if examined.limits)
    detail = f"{asked}; all limits together: {total:g}"
    result.findings.append(Finding("max-servers", sum(wanted.values()) <= total, detail))
    return result
