#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Make zypper's repositories what a site wants: remove some, write some, read each of them once.

Runs on a node, called by the role ensure-zypper-repos. Owns the files of the wanted repositories in repos.d, which none
but root can read, since an address may hold a password or a token; neither leaves this module, and Ansible's own record
of its parameters lacks them. A repository that a service brings would come back with the next refresh: the service is
disabled. Ends with sentences on that, or with one line for each repository that can't be read.
"""

import configparser
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.mirror_addresses import masked, secrets_of, shown
from ansible.module_utils.zypper_calls import DONE, Zypper, reason

NAME = re.compile(r"[A-Za-z0-9_](?:[^\x00-\x20\x7f/\[\]\\]| (?=\S)){0,127}")
URL = re.compile(r"[^\x00-\x20\x7f]{1,2000}")
# Of all that zypper prints of a repository that it can't read, what tells most.
CAUSES = ("^Error message:", "^File '.*' not found", "[Ss]ignature verification failed", "locked by")
KEYS = {"name", "url", "priority", "gpg_check"}
PRIORITIES = (1, 9999)


class Unfit(Exception):
    """A parameter that can't be used; its text is for the user."""


def entry_of(given, number):
    """Return a wanted repository with its defaults; raises Unfit."""
    where = f"ensure_zypper_repos_wanted[{number}]"
    if not isinstance(given, dict):
        raise Unfit(f"{where}: no mapping (keys: {', '.join(sorted(KEYS))})")
    unknown = sorted(str(key) for key in set(given) - KEYS)
    if unknown:
        raise Unfit(f"{where}: unknown key {', '.join(unknown)} (known: {', '.join(sorted(KEYS))})")
    name, url = str(given.get("name") or ""), str(given.get("url") or "")
    if not NAME.fullmatch(name):
        raise Unfit(f"{where}.name: {name[:60]!r} is no name (letters, digits, and signs but / [ ] \\)")
    if not URL.fullmatch(url):
        raise Unfit(f"{where}.url: repository {name} has no address, or one with spaces or line breaks in it")
    try:
        priority = int(given.get("priority", 99))
    except (TypeError, ValueError):
        priority = 0
    if not PRIORITIES[0] <= priority <= PRIORITIES[1]:
        raise Unfit(f"{where}.priority: repository {name}: no number from {PRIORITIES[0]} to {PRIORITIES[1]}")
    check = str(given.get("gpg_check", True)).lower() in ("1", "true", "yes", "on")
    return {"name": name, "url": url, "priority": priority, "gpg_check": check}


def sections(folder, suffix):
    """Return [(file, section, its settings)] of zypper's files in a folder; what can't be read is none."""
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        path = os.path.join(folder, name)
        try:
            if name.endswith(suffix):
                with open(path, encoding="utf-8", errors="replace") as file:
                    parser.read_file(file)
        except (OSError, configparser.Error):
            continue
        found += [(path, section, dict(parser[section])) for section in parser.sections()]
    return found


def text_of(entry):
    """Return a repository's file: it says all at once, and a second run changes nothing."""
    return (
        f"[{entry['name']}]\nname={entry['name']}\nenabled=1\nautorefresh=1\nbaseurl={entry['url']}\n"
        f"priority={entry['priority']}\ngpgcheck={int(entry['gpg_check'])}\n"
    )


def write(path, text):
    """Make a file that only its owner can read; return whether it was another."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            if file.read() == text and os.stat(path).st_mode & 0o777 == 0o600:
                return False
    except FileNotFoundError:
        pass
    new = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.replace(new, path)
    return True


class Repositories:
    """zypper's repositories and services on one system; `changed` and `said` grow."""

    def __init__(self, module, root, zypper):
        self.module, self.zypper = module, zypper
        self.folder = os.path.join(root, "etc/zypp/repos.d")
        self.services = os.path.join(root, "etc/zypp/services.d")
        self.plugins = os.path.join(root, "usr/lib/zypp/plugins/services")
        self.changed, self.said = False, []

    def call(self, *words):
        """Have zypper change something; ends the module where it does not."""
        code, text = self.zypper.run(*words)
        if code not in DONE:
            self.module.fail_json(msg=f"zypper {' '.join(words)}: exit {code}: {reason(text)}", changed=self.changed)
        self.changed = True

    def disable_service(self, service, brought):
        """Keep a service from bringing its repositories back; what else it brought stays as it is."""
        known = {section: values for _, section, values in sections(self.services, ".service")}
        if service not in known and not os.path.exists(os.path.join(self.plugins, service)):
            return
        if known.get(service, {}).get("enabled", "1") == "0":
            return
        self.call("modifyservice", "--disable", service)
        self.said.append(f"service {service} is disabled: it would bring {', '.join(brought)} back")

    def remove(self, names, wanted):
        """Remove repositories by their alias, name or address, and services by their alias."""
        for _, service, _ in sections(self.services, ".service"):
            if service in names:
                self.call("removeservice", service)
                self.said.append(f"service {service} is removed, with the repositories that it brings")
        there = sections(self.folder, ".repo")
        gone = [(alias, values) for _, alias, values in there
                if set(names) & {alias, values.get("name"), values.get("baseurl")}]  # fmt: skip
        # A wanted one takes the place of one of its alias, which may stand in another file.
        gone += [(alias, values) for path, alias, values in there
                 if alias in wanted and os.path.basename(path) != f"{alias}.repo"]  # fmt: skip
        owned = gone + [(alias, values) for _, alias, values in there if alias in wanted]
        for service in sorted({values["service"] for _, values in owned if values.get("service")}):
            brought = sorted({alias for alias, values in owned if values.get("service") == service})
            self.disable_service(service, brought)
        for alias in sorted({alias for alias, _ in gone}):
            self.call("removerepo", alias)

    def write(self, entries):
        """Write the wanted ones."""
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        for entry in entries:
            self.changed |= write(os.path.join(self.folder, entry["name"] + ".repo"), text_of(entry))

    def refresh(self, entry, retries, delay):
        """Read a repository, some times if need be; return why it can't be read, an empty string if it can."""
        for attempt in range(retries + 1):
            code, text = self.zypper.run("--gpg-auto-import-keys", "refresh", entry["name"])
            if code == 0:
                return ""
            if attempt < retries:
                time.sleep(delay)
        return reason(text, CAUSES)


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "remove": {"type": "list", "elements": "str", "required": True},
            # Hidden as a whole from the system's log and from a complaint of Ansible's about it.
            "wanted": {"type": "list", "elements": "raw", "required": True, "no_log": True},
            "retries": {"type": "int", "required": True},
            "delay": {"type": "float", "required": True},
            "lock_timeout": {"type": "int", "required": True},
        },
    )
    given = module.params
    wanted, urls = given.pop("wanted"), []
    # Ansible would hide every name and number of `wanted` wherever it stands; only these are secret.
    module.no_log_values.clear()
    try:
        entries = [entry_of(entry, number) for number, entry in enumerate(wanted)]
        urls = [entry["url"] for entry in entries]
        for url in urls:
            module.no_log_values.update(secrets_of(url))
        names = [entry["name"] for entry in entries]
        repositories = Repositories(module, given["root"], Zypper(module, given["root"], given["lock_timeout"], urls))
        repositories.remove(given["remove"], names)
        repositories.write(entries)
    except Unfit as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"zypper_repositories: {masked(str(error), urls)}")
    faults = [(entry, repositories.refresh(entry, given["retries"], given["delay"])) for entry in entries]
    said = [f"repository {e['name']} ({shown(e['url'])}) can't be read: {fault}" for e, fault in faults if fault]
    if said:
        module.fail_json(msg="; ".join(said), changed=repositories.changed)
    module.exit_json(changed=repositories.changed, said=repositories.said)


if __name__ == "__main__":
    main()
