#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Install packages with zypper: it waits for its lock, and a repository that can't be read is skipped and named.

Runs on a node, called by the role ensure-packages. Asks rpm first, so that nothing is asked of a mirror for what is
there. Ends with the sentences that zypper had beside success, or with one line on what can't be installed.
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.zypper_calls import DONE, Zypper, reason, skipped, told


def missing(module, root, names):
    """Return the names that nothing on the system provides; all of them where there is no rpm."""
    rpm = module.get_bin_path("rpm")
    if not rpm:
        return list(names)
    return [
        name for name in names if module.run_command([rpm, "--root", root, "-q", "--whatprovides", "--", name])[0] != 0
    ]


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "root": {"type": "path", "required": True},
            "lock_timeout": {"type": "int", "required": True},
        },
    )
    given = module.params
    options = [name for name in given["names"] if not name[:1].isalnum()]
    if options:
        module.fail_json(msg=f"ensure_packages_names: {options[0]!r} is no package's name (it begins with a sign)")
    names = missing(module, given["root"], given["names"])
    if not names:
        module.exit_json(changed=False, said=[])
    zypper = Zypper(module, given["root"], given["lock_timeout"])
    code, text = zypper.run("install", "--auto-agree-with-licenses", *names)
    if code not in DONE:
        without = f" (skipped: {', '.join(skipped(text))})" if skipped(text) else ""
        module.fail_json(msg=f"zypper can't install {', '.join(given['names'])}: exit {code}: {reason(text)}{without}")
    module.exit_json(changed="Nothing to do" not in text, said=told(code, text))


if __name__ == "__main__":
    main()
