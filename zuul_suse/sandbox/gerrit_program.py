# SPDX-License-Identifier: Apache-2.0
"""Gets a Gerrit that runs on this machine's Java, through the Maven client.

Owns the folder `maven` of the user's cache. Called by `up`, once per state folder; ends with jars on disk. Where the
war is not served, the same server is put together from the parts that Gerrit publishes for plug-in authors: the
plug-in API holds the server, the acceptance framework its daemon. That Gerrit is real but headless: reviews, git,
ssh and REST work, the web pages are missing.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.state import cache_folder, cache_lock

# Newest first: release, the oldest Java that its class files load on, and the Bouncy Castle that it was built with.
# The releases are those of which war or parts were found and tried.
RELEASES = (("3.13.5", 21, "1.80"), ("3.10.2", 17, "1.78.1"))
GROUP = "com.google.gerrit"
# In Maven's words a war is no part of a class path; it starts with `java -jar`.
LAUNCHER = "com.google.gerrit.launcher.GerritLauncher"
# With its version, so that Maven need not look for the newest one, and says what is wrong where it can't be had.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
BOUNCY_CASTLE = ("bcprov-jdk18on", "bcpkix-jdk18on", "bcutil-jdk18on", "bcpg-jdk18on")


class GerritUnavailableError(SandboxError):
    """No Gerrit can be had; the sandbox can do without one, on plain git."""


@dataclass(frozen=True)
class GerritProgram:
    """How Gerrit is started: `java` takes these words, then Gerrit's own command and options."""

    version: str
    java_words: tuple[str, ...]
    headless: bool


def java_major() -> int:
    """The major version of the `java` on PATH.

    :raises SandboxError: there is none, or it doesn't tell.
    """
    try:
        done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as fault:
        raise SandboxError(f"java: does not run ({fault}); install default-jre-headless") from fault
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    if not found:
        raise SandboxError(f"java -version: no version in {done.stderr.splitlines()[:1]}")
    return int(found.group(1))


def obtain() -> GerritProgram:
    """The newest Gerrit that can be had and runs here; what was fetched once is not fetched again.

    :raises GerritUnavailableError: neither the war nor the parts of any release can be had.
    """
    major = java_major()
    fitting = [release for release in RELEASES if release[1] <= major]
    if not fitting:
        oldest = min(java for _, java, _ in RELEASES)
        raise GerritUnavailableError(f"Gerrit wants Java {oldest} or newer, this machine's is {major}")
    folder = cache_folder() / "gerrit"
    for version, _, _ in fitting:
        if program := _cached(folder / version, version):
            return program
    with cache_lock():
        return _fetch(folder, fitting, major)


def _fetch(folder: Path, fitting: Sequence[tuple[str, int, str]], major: int) -> GerritProgram:
    reasons = []
    for version, _, bouncy_castle in fitting:
        if program := _cached(folder / version, version):
            return program
        for fetch in (_fetch_war, _fetch_parts):
            try:
                fetch(folder / version, version, bouncy_castle)
            except GerritUnavailableError as reason:
                reasons.append(str(reason))
                continue
            program = _cached(folder / version, version)
            if program:
                return program
    raise GerritUnavailableError(f"no Gerrit for Java {major} to be had from Maven Central ({reasons[-1]})")


def _cached(folder: Path, version: str) -> GerritProgram | None:
    """What lies complete in the folder: the mark is written last."""
    if not (folder / "complete").exists():
        return None
    war = folder / f"gerrit-war-{version}.war"
    if war.exists():
        return GerritProgram(version, ("-jar", str(war)), headless=False)
    jars = sorted(str(jar) for jar in folder.glob("*.jar"))
    return GerritProgram(version, ("-cp", ":".join([str(folder / "version"), *jars]), LAUNCHER), headless=True)


def _fetch_war(folder: Path, version: str, _bouncy_castle: str) -> None:
    _copy(folder, [f"{GROUP}:gerrit-war:{version}:war"])
    (folder / "complete").touch()


def _fetch_parts(folder: Path, version: str, bouncy_castle: str) -> None:
    parts = [f"{GROUP}:gerrit-{part}:{version}:jar" for part in ("plugin-api", "acceptance-framework")]
    libraries = [f"org.bouncycastle:{name}:{bouncy_castle}:jar" for name in BOUNCY_CASTLE]
    _copy(folder, [*parts, *libraries])
    # The parts carry no version, and Zuul asks Gerrit for it: this is the file in which Gerrit looks.
    stamp = folder / "version" / "com" / "google" / "gerrit" / "common" / "Version"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(f"v{version}\n")
    (folder / "complete").touch()


def _copy(folder: Path, artifacts: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    repository = cache_folder() / "maven"
    for artifact in artifacts:
        command = ["mvn", "-B", "-q", f"-Dmaven.repo.local={repository}", COPY]
        command += [f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=600, cwd=folder)
        except subprocess.CalledProcessError as fault:
            raise GerritUnavailableError(f"{artifact}: {_first_error(fault.stdout)}") from fault
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise GerritUnavailableError(f"{artifact}: {fault}") from fault


def _first_error(output: str) -> str:
    """Maven's reason, less its frame."""
    for line in output.splitlines():
        if "[ERROR]" in line:
            text = line.split("[ERROR]", 1)[1].split("-> [Help")[0].strip()
            return text if len(text) <= 240 else f"{text[:120]} … {text[-120:]}"
    return "the Maven client failed without a word"
