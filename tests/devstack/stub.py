# SPDX-License-Identifier: Apache-2.0
"""A devstack tree of our own making, in upstream's place: every function that the overlay leans on, where it looks.

For the tests of the overlay's own logic, which need no upstream tree. A function says its name; those that the overlay
calls, or takes as on Fedora, do as much of what upstream's do as a test asks for. `make devstack-check` has the real
one.
"""

from __future__ import annotations

from pathlib import Path

from . import overlay

# Here a distribution's branch is one word, so that a test sees which was taken.
AS_FEDORA = 'if is_fedora; then echo "{name}: as on Fedora"; else echo "{name}: not supported"; fi'
BODIES = {
    "die": 'local line=$1; shift; echo "died: $*" >&2; exit 1',
    "zypper_install": '[[ "$OFFLINE" = "True" ]] && return\n    '
    'zypper --non-interactive install --auto-agree-with-licenses --no-recommends "$@"',
    "get_packages": 'echo "$WANTED"',
    "is_service_enabled": "local name\n    "
    'for name in "$@"; do [[ ",$ENABLED_SERVICES," == *",$name,"* ]] && return; done\n    return 1',
    "run_phase": 'echo "run_phase: upstream $*"',
    "GetOSVersion": "os_VENDOR=upstream; os_PACKAGE=deb",
    "GetDistro": "GetOSVersion; DISTRO=upstream",
    "is_fedora": "false",
}
HEAD = 'FUNC_DIR=$(cd $(dirname "${BASH_SOURCE:-$0}") && pwd)\n'
# In upstream's order: the libraries come after the first phase, and plugins are heard after the second.
STACK = """\
#!/bin/bash
set -o errexit
TOP_DIR=$(cd $(dirname "$0") && pwd)
source $TOP_DIR/functions
GetDistro
run_phase override_defaults
for library in {libraries}; do source $TOP_DIR/$library; done
run_phase source
"$@"
"""
EARLY = ("functions-common", "inc/python")


def body(function: overlay.Function) -> str:
    if function.name in BODIES:
        return BODIES[function.name]
    if "as-fedora" in function.how:
        return AS_FEDORA.format(name=function.name)
    return f'echo "{function.name}: upstream $*"'


def make_tree(folder: Path, *, without: str = "", line: str = overlay.LINE) -> Path:
    """Write the tree; `without` is the function that this upstream does not have any more."""
    texts: dict[str, str] = {}
    for function in overlay.functions():
        if function.name != without:
            text = f"function {function.name} {{\n    {body(function)}\n}}\n"
            texts[function.file] = texts.get(function.file, "") + text
    libraries = [name for name in texts if name not in EARLY]
    texts["functions-common"] += 'function install_package { real_install_package "$@"; }\n'
    texts["functions"] = HEAD + "".join(f"source $FUNC_DIR/{name}\n" for name in EARLY) + line + "\n"
    texts["stack.sh"] = STACK.replace("{libraries}", " ".join(libraries))
    texts["tools/install_pip.sh"] = "#!/bin/bash\nsource $(dirname $0)/../functions\necho get-pip.py\n"
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
