#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write an empty disk image in qcow2 format (version 3), without qemu-img.

Runs on the node, called by the role write-guest-image. Owns the file it is told to write: a file that is already as
wanted is left alone, anything else at that path is replaced. The layout is the smallest that is valid: a header,
one refcount table, one refcount block, one L1 table without entries; every guest cluster reads as zeros.
"""

import os
import pathlib
import struct

from ansible.module_utils.basic import AnsibleModule

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
MIB = 1 << 20
# One L1 table of one cluster maps so much: 8192 entries of 8192 clusters each.
MOST_MIB = (CLUSTER // 8) * (CLUSTER // 8) * CLUSTER // MIB
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def image(size_mib):
    """Return the bytes of an empty image: header, refcount table, refcount block, L1 table, a cluster each."""
    size = size_mib * MIB
    entries = -(-size // (CLUSTER * (CLUSTER // 8)))
    header = HEADER.pack(
        b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, size, 0, entries, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, HEADER.size
    )
    table = struct.pack(">Q", 2 * CLUSTER)
    block = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(CLUSTER, b"\0") for part in (header, table, block, b""))


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "size_mib": {"type": "int", "required": True}},
        add_file_common_args=True,
        supports_check_mode=True,
    )
    path, size_mib = module.params["path"], module.params["size_mib"]
    if not 1 <= size_mib <= MOST_MIB:
        module.fail_json(msg=f"size_mib: {size_mib} is out of range (1 to {MOST_MIB})")
    wanted = image(size_mib)
    try:
        changed = not os.path.isfile(path) or pathlib.Path(path).read_bytes() != wanted
        if changed and not module.check_mode:
            with open(path, "wb") as file:
                file.write(wanted)
    except OSError as error:
        module.fail_json(msg=f"path: {error}")
    changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(module.params), changed)
    module.exit_json(changed=changed, path=path, bytes=len(wanted))


if __name__ == "__main__":
    main()
