# SPDX-License-Identifier: Apache-2.0
"""The commands of an admin node and of a controller, as small as they can be and still be believed.

Laid on PATH under each command's name by tests/crowbar_deploy/machines.py, run by the roles. $CROWBAR_TEST is the
test's folder: calls are written down there, `faults.json` says what goes wrong. What they print is modelled on
crowbar-client (crowbarctl), crowbar-core's bin/crowbar_batch, chef's knife, stestr 3 and supportconfig.
"""

import json
import os
import re
import shutil
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

NAMES = ("crowbar", "crowbarctl", "hostname", "knife", "mount", "stestr", "supportconfig", "systemctl", "tempest")
HERE = Path(os.environ.get("CROWBAR_TEST", "/nowhere"))
SECRET = "Sup3rS3cretDb"


def faults() -> dict[str, str]:
    path = HERE / "faults.json"
    return json.loads(path.read_text()) if path.exists() else {}


def nodes() -> list[dict[str, str]]:
    """Ask the API, as crowbar batch does for its aliases."""
    url = (HERE / "url").read_text()
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, os.environ["CROWBAR_USERNAME"], os.environ["CROWBAR_PASSWORD"])
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
    return json.loads(opener.open(f"{url}/crowbar/machines/1.0").read())["nodes"]


def crowbar(arguments: list[str]) -> int:
    exclude = [word.partition("=")[2] for word in arguments if word.startswith("--exclude=")]
    text = Path(arguments[-1]).read_text()
    aliases = {node["alias"] for node in nodes()}
    unknown = sorted({f"@@{name}@@" for name in re.findall(r"@@([^ @]+)@@", text)} - {f"@@{a}@@" for a in aliases})
    if unknown:
        listed = "\n- ".join(unknown)
        print(f"Some of the aliases in the YAML file are not known to Crowbar:\n- {listed}", file=sys.stderr)
        return 1
    found = re.findall(r"^ *- barclamp: (\S+)\n(?: +name: (\S+))?", text, re.MULTILINE)
    for barclamp, name in [(barclamp, name or "default") for barclamp, name in found if barclamp not in exclude]:
        if faults().get("batch-skips") == barclamp:
            continue
        print(
            f"[12:00:00] {barclamp} barclamp, '{name}' proposal:\n   Created\n   Committing please wait...", flush=True
        )
        if faults().get("batch-hangs") == barclamp:
            time.sleep(60)
        if faults().get("batch") == barclamp:
            failed = f"Failed to apply the proposal to: controller (Chef) password={SECRET}"
            state = {"crowbar-status": "failed", "crowbar-failed": failed}
            proposal = {"attributes": {barclamp: {"db": {"password": SECRET}}}, "deployment": {barclamp: state}}
            reason = f"Failed to apply {barclamp} proposal '{name}':\n" + json.dumps(proposal, indent=2)
            print(reason, file=sys.stderr)
            return 1
        print(f"   Committed {name}\n   State now ready .")
    return 0


def crowbarctl(arguments: list[str]) -> int:
    if arguments[:2] == ["database", "create"]:
        if "database" in faults():
            print("Could not connect to database")
            return 1
        print("Successfully created database")
    elif arguments[:2] == ["node", "list"]:
        print(json.dumps([node["name"] for node in nodes()]))
    elif arguments[:2] == ["barclamp", "list"]:
        print("nova 95\nkeystone 78")
    elif arguments[:2] == ["proposal", "show"]:
        attributes = {"db": {"user": "nova", "password": SECRET}, "service_password": "a,b c"}
        print(json.dumps({"id": arguments[3], "attributes": {arguments[2]: attributes}}))
    return 0


def knife(arguments: list[str]) -> int:
    bags = HERE / "databags"
    if arguments[:3] == ["data", "bag", "show"]:
        if len(arguments) < 5 or arguments[4] == "-F":
            print("\n".join(sorted(path.stem for path in bags.glob("*.json"))))
        elif "knife" in faults():
            print(f"ERROR: Connection refused connecting to localhost:4000 for {arguments[4]}", file=sys.stderr)
            return 100
        else:
            print((bags / f"{arguments[4]}.json").read_text())
    elif arguments[:4] == ["data", "bag", "from", "file"]:
        shutil.copy(arguments[5], bags / Path(arguments[5]).name)
    elif arguments[:2] == ["node", "list"]:
        print("\n".join(node["name"] for node in nodes()))
    elif arguments[:2] == ["node", "show"]:
        print(json.dumps({"name": arguments[2], "normal": {"crowbar": {"admin_password": SECRET}}}))
    return 0


def mount(arguments: list[str]) -> int:
    """An image is a file with the name of the folder that is on it."""
    if "mount" in faults():
        print(f"mount: {arguments[3]}: failed to setup loop device", file=sys.stderr)
        return 32
    shutil.copytree(Path(arguments[2]).read_text(), arguments[3], dirs_exist_ok=True)
    return 0


def tempest(arguments: list[str]) -> int:
    """Runs as many tests as the fault says; none leaves no run behind."""
    wanted = faults().get("tempest", "12 0")
    ran, failed = (int(word) for word in wanted.split())
    if not ran:
        return 0
    Path(".stestr").mkdir(exist_ok=True)
    Path(".stestr/next-stream").write_text("1\n")
    Path(".stestr/counts").write_text(f"{ran} {failed}")
    return 1 if failed else 0


def stestr(arguments: list[str]) -> int:
    counts = Path(".stestr/counts")
    if not counts.exists():
        print("No runs in repository", file=sys.stderr)
        return 1
    ran, failed = (int(word) for word in counts.read_text().split())
    if arguments[0] == "failing":
        print("\n".join(f"tempest.api.compute.T.test_{number}[id-{number},smoke]" for number in range(failed)))
        return 1
    skipped = 1 if ran > 1 else 0
    print(f"\n======\nTotals\n======\nRan: {ran} tests in 3.2000 sec.\n - Passed: {ran - failed - skipped}")
    print(f" - Skipped: {skipped}\n - Expected Fail: 0\n - Unexpected Success: 0\n - Failed: {failed}")
    return 1 if failed else 0


def supportconfig(arguments: list[str]) -> int:
    """Leaves an archive of text files in the folder after -R."""
    folder = Path(arguments[arguments.index("-R") + 1])
    inside = folder / "scc_zuul"
    inside.mkdir()
    (inside / "etc.txt").write_text(f"# /etc/nova/nova.conf\nconnection = mysql+pymysql://nova:{SECRET}@db/nova\n")
    with tarfile.open(folder / "scc_zuul.txz", "w:xz") as archive:
        archive.add(inside, "scc_zuul")
    shutil.rmtree(inside)
    return 0


def main() -> int:
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (HERE / "calls").open("a") as file:
        file.write(" ".join([name, *arguments]) + "\n")
    handler = globals().get(name)
    return handler(arguments) if handler else 0


if __name__ == "__main__":
    sys.exit(main())
