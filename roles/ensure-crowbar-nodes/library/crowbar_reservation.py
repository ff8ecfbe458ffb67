#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Reserve addresses in Crowbar's admin network, so that nodes keep those that they have.

Runs on the admin node, called by the role ensure-crowbar-nodes before nodes register. Reads and writes the item
admin_network of the data bag crowbar through knife, in the shape that crowbar-core's network service gives it
(crowbar_framework/app/models/network_service.rb): `allocated` by address and `allocated_by_name`, each entry with
machine, interface and address. An address that another machine has is a fault, and nothing is written.
"""

import copy
import ipaddress
import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

CONDUIT = "intf0"
BAG, ITEM = "crowbar", "admin_network"


def faults_of(databag, entries):
    """Return a sentence for each address that can't be reserved."""
    found = []
    for entry in entries:
        name, address = entry["name"], entry["address"]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            found.append(f"{name}: {address} is no address")
            continue
        other = databag["allocated"].get(address, {}).get("machine", name)
        if other != name:
            found.append(f"{name}: {address} is {other}'s")
    addresses = [entry["address"] for entry in entries]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    return found + [f"{address} is wanted by two nodes" for address in twice]


def with_entries(databag, entries):
    """Return the item with the nodes' addresses in it; an address that one of them had before is free again."""
    result = copy.deepcopy(databag)
    for entry in entries:
        name, address = entry["name"], entry["address"]
        old = result["allocated_by_name"].get(name, {}).get("address")
        if old and old != address:
            result["allocated"].pop(old, None)
        reservation = {"machine": name, "interface": CONDUIT, "address": address}
        result["allocated_by_name"][name] = reservation
        result["allocated"][address] = dict(reservation)
    return result


def read(module):
    """Return the item as knife shows it."""
    rc, out, err = module.run_command(["knife", "data", "bag", "show", BAG, ITEM, "-F", "json"])
    if rc != 0:
        words = (err or out).strip().splitlines() or ["it says nothing"]
        module.fail_json(msg=f"knife data bag show {BAG} {ITEM}: exit {rc}: {words[-1]}")
    try:
        found = json.loads(out)
    except ValueError as error:
        module.fail_json(msg=f"knife data bag show {BAG} {ITEM}: no JSON: {error}")
    for key in ("allocated", "allocated_by_name"):
        if not isinstance(found.get(key), dict):
            module.fail_json(msg=f"data bag {BAG}, item {ITEM}: has no {key} (has {', '.join(sorted(found))})")
    return found


def write(module, databag):
    """Give the item to knife, in a file of its name."""
    folder = tempfile.mkdtemp(dir=module.tmpdir)
    path = os.path.join(folder, f"{ITEM}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(databag, file)
    rc, out, err = module.run_command(["knife", "data", "bag", "from", "file", BAG, path])
    if rc != 0:
        words = (err or out).strip().splitlines() or ["it says nothing"]
        module.fail_json(msg=f"knife data bag from file {BAG}: exit {rc}: {words[-1]}")


def main():
    """Be the Ansible module."""
    module = AnsibleModule(argument_spec={"entries": {"type": "list", "elements": "dict", "required": True}})
    entries = module.params["entries"]
    before = read(module)
    faults = faults_of(before, entries)
    if faults:
        module.fail_json(msg=f"crowbar_reservation: {'; '.join(faults)}")
    after = with_entries(before, entries)
    if after != before:
        write(module, after)
    module.exit_json(changed=after != before)


if __name__ == "__main__":
    main()
