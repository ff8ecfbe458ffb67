# SPDX-License-Identifier: Apache-2.0
"""Brings the whole CI up in order, tells how it is, and takes it down.

Owns the order of things. Called by the commands `zuul-suse sandbox up | down | status` and by the demonstration. `up`
mends what is broken and leaves alone what is well; when it can't finish a start from nothing it takes everything down
again. `down` ends with no process, container, bridge or port of the sandbox.
"""

import concurrent.futures
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zuul_suse.sandbox import (
    datacenter,
    environment,
    gerrit,
    log_server,
    mirror,
    mounts,
    nodepool,
    nodepool_part,
    preflight,
    repositories,
    users,
    zookeeper,
    zuul,
)
from zuul_suse.sandbox.certificates import Certificates, certificates
from zuul_suse.sandbox.gerrit_program import GerritProgram, GerritUnavailableError, obtain
from zuul_suse.sandbox.mirror import Seed
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.service import Health, Service, wait_until
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.supervision import Supervision

START_SECONDS = 180.0  # the longest that any service took on two busy cores was a third of this


@dataclass(frozen=True)
class Wishes:
    """What the user asked of `up`."""

    source: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    image: str | None = None
    database_uri: str | None = None
    gerrit_required: bool = False
    nodepool_part: Path | None = None


class Sandbox:
    """One sandbox, running or not."""

    def __init__(self, state: State, progress: Progress) -> None:
        self.state = state
        self.progress = progress
        self.supervision = Supervision(state)

    def up(self, wishes: Wishes) -> None:
        """Start what does not run, and wait until everything is well.

        :raises SandboxError: what is in the way; nothing is left half-started.
        """
        os.umask(0o022)  # what services read is theirs by `users.give`, whatever the caller's umask
        ran_before = self.supervision.alive()
        preflight.check(self.state.root)
        with self.state.locked():
            try:
                self._up(wishes)
            except BaseException:
                if not ran_before:
                    self.progress.say("giving up: taking down what was started")
                    self._down()
                raise

    def _up(self, wishes: Wishes) -> None:
        self._choose(wishes)
        users.ensure()
        environment.show(self.state)
        files = certificates(self.state)
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as beside:
            ansible = beside.submit(zuul.ensure_ansible)
            program = self._gerrit_program(wishes.gerrit_required)
            zookeeper.configure(self.state, files)
            if program:
                gerrit.configure(self.state, program)
            zuul.configure(self.state, files)
            nodepool.configure(self.state, files)
            log_server.configure(self.state)
            first, second = self._first_stage(files, program), self._second_stage()
            self.supervision.configure([*first, *second])
            self.supervision.up()
            self._start(first)
            if program:
                with self.progress.step("Gerrit: accounts, labels, rights"):
                    gerrit.seed(self.state)
            with self.progress.step("datacenter: project, profile, bridge"):
                datacenter.seed(self.state)
            with self.progress.step("seeding repositories"):
                pushed = repositories.seed_config_project(self.state)
                pushed = repositories.seed_this_project(self.state, wishes.source) or pushed
            self.state.choices.untrusted_projects.setdefault(repositories.THIS_PROJECT, {})
            stale = zuul.write_tenant(self.state) or pushed
            self.state.save()
            with self.progress.step("Ansible for the executor (once per user)"):
                ansible.result()
        nodepool.validate(self.state)
        self._start(second)
        if stale:
            with self.progress.step("Zuul reads its configuration"):
                zuul.reconfigure(self.state)
        if lost := nodepool.forget_lost_nodes(self.state):
            self.progress.say(f"gave back {len(lost)} nodes whose servers are gone")

    def take_in(self, seed: Seed, git_mirror: str | None) -> None:
        """Bring a job chain's projects into Gerrit and into the tenant, and wait until Zuul knows them.

        :raises SandboxError: a project can't be had, or Zuul does not take the configuration.
        """
        choices = self.state.choices
        with self.state.locked():
            mirror.bring(self.state, seed, git_mirror, self.progress)
            own = choices.untrusted_projects.setdefault(repositories.THIS_PROJECT, {})
            own["extra-config-paths"] = sorted({*own.get("extra-config-paths", []), *seed.own_config_paths})
            choices.untrusted_projects.update(
                {project.name: {"include": list(project.include)} for project in seed.projects}
            )
            if seed.config_project and seed.config_project not in choices.config_layers:
                choices.config_layers.append(seed.config_project)
            self.state.save()
            changed = repositories.seed_config_project(self.state)
            if zuul.write_tenant(self.state) or changed:
                with self.progress.step("Zuul takes the projects into the tenant"):
                    zuul.reconfigure(self.state)
            # zuul-web hears of a new layout a little after the scheduler has it.
            job, errors = seed.demonstration.job, f"{zuul.url(self.state)}/t/{zuul.TENANT}/config-errors"
            wait_until(lambda: zuul.knows_job(self.state, job), f"Zuul's job {job} (see {errors})", 60, lambda: None)

    def down(self, *, purge: bool = False) -> None:
        """Stop everything, empty the datacenter, and remove the bridge; with `purge` the state folder too."""
        if not self.state.root.exists():
            return
        with self.state.locked():
            self._down()
            if purge:
                self.state.purge()

    def _down(self) -> None:
        if not self.state.exists:
            return
        if self.supervision.alive():
            with self.progress.step("stopping services"):
                # Zuul and Nodepool first: without ZooKeeper they hang until they are killed.
                first, second = self._stages()
                self.supervision.stop(service.name for service in second)
                self.supervision.stop(service.name for service in first if service.name != "datacenter")
        if (self.state.root / "datacenter" / "database").exists():
            with self.progress.step("emptying the datacenter"):
                self._shut_datacenter_down()
        self.supervision.stop_all()
        mounts.release(self.state.root)
        # What a build that was cut off has left is of no use to the next one.
        shutil.rmtree(self.state.root / "nodepool" / "tmp", ignore_errors=True)

    def _shut_datacenter_down(self) -> None:
        """The daemon takes its bridge away itself, so one that was killed is started for that."""
        service = datacenter.service(self.state)
        if not service.check():
            users.ensure()
            self.supervision.configure([service])
            self.supervision.up()
            self._start([service])
        datacenter.shut_down(self.state)

    def status(self) -> list[Health]:
        """The health of every service, in the order in which they start."""
        pids = self.supervision.pids()
        found = []
        for service in self._known_services():
            pid = pids.get(service.name)
            found.append(
                Health(
                    name=service.name,
                    running=pid is not None,
                    healthy=pid is not None and service.check(),
                    pid=pid,
                    log=str(self.supervision.log(service.name)),
                    url=service.url,
                )
            )
        return found

    def _known_services(self) -> list[Service]:
        first, second = self._stages()
        return [*first, *second]

    def _stages(self) -> tuple[list[Service], list[Service]]:
        """The services that others need, and those others; none before the first `up`."""
        if not self.state.choices.ports:
            return [], []
        program = obtain() if self.state.choices.review == "gerrit" else None
        return self._first_stage(certificates(self.state), program), self._second_stage()

    def _first_stage(self, files: Certificates, program: GerritProgram | None) -> list[Service]:
        services = [zookeeper.service(self.state, files), datacenter.service(self.state)]
        if program:
            services.append(gerrit.service(self.state, program))
        return services

    def _second_stage(self) -> list[Service]:
        return [*nodepool.services(self.state), *zuul.services(self.state), log_server.service(self.state)]

    def _choose(self, wishes: Wishes) -> None:
        choices = self.state.choices
        running = frozenset(self.supervision.pids()) if self.supervision.alive() else frozenset()
        names = {name for service in self._known_services() if service.name in running for name in service.port_names}
        self.state.choose_ports(wishes.ports, frozenset(names))
        choices.image = nodepool.image(wishes.image or choices.image)
        if wishes.nodepool_part:
            nodepool_part.read(wishes.nodepool_part)  # a fault in it is told before anything starts
            choices.nodepool_part = str(wishes.nodepool_part)
        choices.database_uri = wishes.database_uri or choices.database_uri
        self.state.save()

    def _gerrit_program(self, required: bool) -> GerritProgram | None:
        try:
            with self.progress.step("Gerrit from Maven Central (once per user)"):
                program = obtain()
        except GerritUnavailableError as reason:
            if required or self.state.choices.review == "gerrit":
                raise
            self.progress.say(f"{reason}: going on with plain git, without review")
            self.state.choices.review = "git"
        else:
            self.state.choices.review = "gerrit"
            if program.headless:
                self.progress.say(
                    f"Gerrit {program.version}, headless: put together from its parts, the war isn't served"
                )
            self.state.save()
            return program
        self.state.save()
        return None

    def _start(self, services: Sequence[Service]) -> None:
        """Start services side by side, each with what is its own, and wait for each."""
        users.give(self.state.root)
        for service in services:
            if not service.resumes:
                self.supervision.end_orphans(service.name)
            self.supervision.start(service.name)
        with self.progress.step(f"waiting for {', '.join(service.name for service in services)}"):
            for service in services:
                wait_until(service.check, service.name, START_SECONDS, lambda: self._death(services))

    def _death(self, services: Sequence[Service]) -> str | None:
        """Why waiting is of no use: the first service that ended, for the others may wait for it."""
        pids = self.supervision.pids()
        for service in services:
            if pids.get(service.name) is None:
                log = self.supervision.log(service.name)
                lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
                # A traceback's last line tells more than what was logged after it, which begins with a date.
                last = next(
                    (line for line in reversed(lines) if not line.startswith("20")), (lines or ["no output"])[-1]
                )
                return f"{service.name} ended at its start: {last[:300]} (log: {log})"
        return None
