# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a developer's change in Gerrit, its verdict from a job on a node of ours.

Owns the account of its runs. Called by `zuul-suse sandbox demo`; `developer.py` does what a developer does, this module
decides what and looks at the answer. Ends with every run's verdict, or with the first that was not the expected one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.sandbox import SandboxError, UnexpectedVerdictError, gerrit, nodepool, zuul
from zuul_suse.sandbox.demonstration import Demonstration, ShownChange
from zuul_suse.sandbox.developer import Change, push_directly, send
from zuul_suse.sandbox.mirror import seed_for
from zuul_suse.sandbox.repositories import THIS_PROJECT
from zuul_suse.sandbox.sandbox import Sandbox
from zuul_suse.sandbox.verdict import Verdict, newest_verdict

IMAGE_SECONDS = 1500.0
BUILD_SECONDS = 900.0
CHAIN_SECONDS = 3 * 3600.0
# A recheck should give its reason; the CI's own word is what cinder's rules ask for.
RECHECK = "recheck the node was restarted under the job"
RUN = f"run-{gerrit.CI_NAME}"


@dataclass(frozen=True)
class Run:
    """One round: what was done to the change, the vote that it ought to bring, and what came of it."""

    what: str
    change: Change
    expected: int
    verdict: Verdict
    logs: str | None


def show(sandbox: Sandbox) -> list[Run]:
    """A good change and a broken one; then a comment on each that runs it again.

    :raises UnexpectedVerdictError: a verdict was not the expected one.
    """
    await_image(sandbox)
    state, say = sandbox.state, sandbox.progress.say
    good = send(state, THIS_PROJECT, "Say who looks at this package", _note_in_package)
    say(f"sent for review with git-review: {good.url}")
    broken = send(state, THIS_PROJECT, "Break the package on purpose", _break_package)
    say(f"sent for review, broken on purpose: {broken.url}")
    review = gerrit.developer(state)
    # The broken change fails early: its second round begins while the good one is still in its first.
    second = await_verdict(sandbox, "a broken change", broken, expected=-1)
    review.comment(broken.number, RUN)
    say(f'commented "{RUN}" on the broken change')
    first = await_verdict(sandbox, "a new change", good, expected=+1)
    review.comment(good.number, RECHECK, inline={PACKAGE: "one line, as asked"})
    say(f'commented "{RECHECK}" on the good change, with an inline comment')
    after = second.verdict.message_number
    third = await_verdict(sandbox, f'the comment "{RUN}"', broken, expected=-1, after=after)
    after = first.verdict.message_number
    return [first, second, third, await_verdict(sandbox, f'the comment "{RECHECK}"', good, expected=+1, after=after)]


@dataclass(frozen=True)
class Build:
    """One job on a commit that was pushed, where there is no review."""

    job: str
    result: str
    commit: str
    logs: str | None


def show_without_review(sandbox: Sandbox) -> list[Build]:
    """The same on plain git: a commit is pushed, its jobs run on nodes, their results stand in Zuul.

    :raises UnexpectedVerdictError: a job failed.
    """
    await_image(sandbox)
    commit = push_directly(sandbox.state, THIS_PROJECT, "Say who looks at this package", _note_in_package)
    with sandbox.progress.step(f"jobs on the pushed commit {commit[:10]}"):
        end = time.monotonic() + BUILD_SECONDS
        while not (found := zuul.builds_of(sandbox.state, commit)):
            if time.monotonic() > end:
                raise SandboxError(
                    f"no build of {commit[:10]} after {BUILD_SECONDS:.0f} s; see `zuul-suse sandbox status`"
                )
            time.sleep(1)
    builds = [Build(build["job_name"], build["result"], commit, build["log_url"]) for build in found]
    if bad := [build for build in builds if build.result != "SUCCESS"]:
        raise UnexpectedVerdictError(f"{bad[0].job}: {bad[0].result} instead of SUCCESS; logs: {bad[0].logs}")
    return builds


def show_job(sandbox: Sandbox, job: str, git_mirror: str | None, names: Sequence[str]) -> list[Run]:
    """A job chain on real projects: its verdict on the changes that its seed has for that.

    :param names: which of them; none for those that need not be asked for.
    :raises UnexpectedVerdictError: a verdict was not the expected one.
    """
    seed = seed_for(job)
    chosen = seed.demonstration.chosen(names)
    sandbox.take_in(seed, git_mirror)
    await_image(sandbox)
    sent: dict[str, Change] = {}
    runs = []
    for shown in chosen:
        change = _send_shown(sandbox, seed.demonstration, shown, sent)
        what = f"{shown.name} (a change to {shown.project}) by {job}"
        runs.append(await_verdict(sandbox, what, change, expected=shown.vote, seconds=CHAIN_SECONDS))
    return runs


def _send_shown(sandbox: Sandbox, all_: Demonstration, shown: ShownChange, sent: dict[str, Change]) -> Change:
    """Send a change, and before it those that it depends on; each only once."""
    if shown.name not in sent:
        needed = [_send_shown(sandbox, all_, all_.named(name), sent) for name in shown.depends_on]
        footers = "".join(f"\nDepends-On: {change.reference}" for change in needed)
        message = f"{shown.subject}\n{footers}"
        sent[shown.name] = change = send(sandbox.state, shown.project, message, shown.edit, shown.branch)
        needs = f", which depends on {', '.join(change.url for change in needed)}" if needed else ""
        sandbox.progress.say(f"sent for review: {change.url}{needs}")
    return sent[shown.name]


def await_image(sandbox: Sandbox) -> None:
    """Wait until nodes can be made.

    :raises SandboxError: the image could not be built or uploaded; the log is named.
    """
    state = sandbox.state
    name = state.choices.image
    if nodepool.image_ready(state):
        return
    builder_log = sandbox.supervision.log("nodepool-builder")
    failures = nodepool.failed_builds(builder_log, name)
    with sandbox.progress.step(f"nodepool-builder makes and uploads the node image {name}"):
        end = time.monotonic() + IMAGE_SECONDS
        while not nodepool.image_ready(state):
            if nodepool.failed_builds(builder_log, name) > failures:
                raise SandboxError(f"the image {name} could not be built (log: {nodepool.build_log(state)})")
            if time.monotonic() > end:
                raise SandboxError(
                    f"the image {name} is not ready after {IMAGE_SECONDS:.0f} s (log: {nodepool.build_log(state)})"
                )
            time.sleep(2)


def await_verdict(
    sandbox: Sandbox,
    what: str,
    change: Change,
    *,
    expected: int,
    after: int = 0,
    seconds: float = BUILD_SECONDS,
) -> Run:
    """Wait for the CI's next word on a change.

    :param after: how many of the change's messages were there before.
    :raises UnexpectedVerdictError: it came and its vote is another.
    :raises SandboxError: it did not come in time.
    """
    review = gerrit.developer(sandbox.state)
    with sandbox.progress.step(f"verdict on {what}"):
        end = time.monotonic() + seconds
        while not (verdict := newest_verdict(review.change(change.number), gerrit.CI_USER, after)):
            if time.monotonic() > end:
                raise SandboxError(f"no verdict on {change.url} after {seconds:.0f} s; see `zuul-suse sandbox status`")
            time.sleep(1)
    logs = zuul.log_folder(sandbox.state, verdict.log_url)
    if verdict.vote != expected:
        raise UnexpectedVerdictError(
            f"{what}: voted {verdict.vote:+d} instead of {expected:+d} on {change.url}; logs: {logs}"
        )
    return Run(what, change, expected, verdict, logs)


PACKAGE = "zuul_suse/__init__.py"


def _note_in_package(folder: Path) -> None:
    with open(folder / PACKAGE, "a") as package:
        package.write(f"# Looked at by a developer at {time.time_ns()}.\n")


def _break_package(folder: Path) -> None:
    with open(folder / PACKAGE, "a") as package:
        package.write(f"def broken_on_purpose_{time.time_ns()}(:\n")
