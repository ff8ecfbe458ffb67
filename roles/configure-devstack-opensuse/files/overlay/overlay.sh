#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What upstream's devstack lacks on openSUSE, from outside.
#
# Sourced by one line at the end of devstack's ``functions``, and so by
# everything of devstack's. Owns the functions in ``OPENSUSE_FUNCTIONS`` that
# are said to be ``own`` or ``kept`` there; the rest of upstream stays as it
# is. Does nothing on other systems. Ends stack.sh before it does anything if
# upstream has no longer what this leans on.
#
# Uses ``OPENSUSE_OS_RELEASE``: another os-release than the system's.

_XTRACE_OPENSUSE=$(set +o | grep xtrace)
set +o xtrace

OPENSUSE_OVERLAY=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What the system says of itself, without its variables becoming devstack's
function opensuse_os_release {
    (
        # shellcheck source=/dev/null
        source "${OPENSUSE_OS_RELEASE:-/etc/os-release}"
        echo "${!1:-}"
    )
}

case $(opensuse_os_release ID) in
    opensuse-leap) OPENSUSE_RELEASE=$(opensuse_os_release VERSION_ID) ;;
    opensuse-tumbleweed) OPENSUSE_RELEASE=tumbleweed ;;
    *)
        $_XTRACE_OPENSUSE
        return 0
        ;;
esac

# There is a packaged pip on every openSUSE, and get-pip.py refuses to work
# on a python that is externally managed.
if [[ ${0##*/} == install_pip.sh ]]; then
    echo "openSUSE's own pip is used, get-pip.py is not"
    exit 0
fi

# shellcheck source=roles/configure-devstack-opensuse/files/overlay/packages.sh
source "$OPENSUSE_OVERLAY/packages.sh"

# Upstream's functions that this leans on, where they are, and how:
#   as-fedora  upstream's own branch for RPMs is right, with names mapped
#   kept       upstream's body is called, with something before or after it
#   own        replaced
#   called     called by what is our own
declare -A -g OPENSUSE_FUNCTIONS=(
    [GetOSVersion]="functions-common own"
    [GetDistro]="functions-common own"
    [is_fedora]="functions-common own"
    [is_package_installed]="functions-common own"
    [real_install_package]="functions-common own"
    [uninstall_package]="functions-common own"
    [run_phase]="functions-common kept"
    [_get_package_dir]="functions-common as-fedora"
    [die]="functions-common called"
    [get_packages]="functions-common called"
    [is_service_enabled]="functions-common called"
    [zypper_install]="functions-common own"
    [install_python3]="inc/python as-fedora"
    [pip_install]="inc/python called"
    [pip_install_gr]="inc/python called"
    [apache_site_config_for]="lib/apache as-fedora"
    [enable_apache_site]="lib/apache as-fedora"
    [disable_apache_site]="lib/apache as-fedora"
    [enable_apache_mod]="lib/apache own"
    [install_apache_uwsgi]="lib/apache own"
    [install_apache_wsgi]="lib/apache own"
    [restart_apache_server]="lib/apache called"
    [cleanup_database_mysql]="lib/databases/mysql as-fedora"
    [configure_database_mysql]="lib/databases/mysql as-fedora"
    [install_database_mysql]="lib/databases/mysql as-fedora"
    [install_rpc_backend]="lib/rpc_backend as-fedora"
    [configure_horizon]="lib/horizon as-fedora"
    [create_nova_conf]="lib/nova as-fedora"
    [install_libvirt]="lib/nova_plugins/functions-libvirt as-fedora kept"
    [configure_libvirt]="lib/nova_plugins/functions-libvirt as-fedora"
    [_neutron_ovs_base_install_agent_packages]="lib/neutron_plugins/ovs_base as-fedora"
    [configure_ovn]="lib/neutron_plugins/ovn_agent as-fedora kept"
    [init_CA]="lib/tls kept"
    [cleanup_CA]="lib/tls kept"
    [start_tls_proxy]="lib/tls kept"
    [fix_system_ca_bundle_path]="lib/tls own"
)

# Stop while nothing is done yet if upstream moved or dropped one of them
function opensuse_check_upstream {
    local name file commit missing=""
    for name in "${!OPENSUSE_FUNCTIONS[@]}"; do
        file=${OPENSUSE_FUNCTIONS[$name]%% *}
        if ! grep -qsE "^function $name *(\(\) *)?\{" "$FUNC_DIR/$file"; then
            missing+="$name ($file), "
        fi
    done
    [[ -n "$missing" ]] || return 0
    commit=$(git -C "$FUNC_DIR" rev-parse HEAD 2>/dev/null) || commit=unknown
    die $LINENO "devstack on openSUSE: not in devstack $commit any more: ${missing%, }"
}

# Upstream's function NAME goes on as _upstream_NAME
function opensuse_keep {
    eval "$(declare -f "$1" | sed '1s/^/_upstream_/')"
}

# Is only true in a function whose branch for RPMs is to be taken: the answer
# depends on who asks, so that no body of upstream's is copied.
function is_fedora {
    local asking=${FUNCNAME[1]:-main}
    [[ " ${OPENSUSE_FUNCTIONS[${asking#_upstream_}]:-} " == *" as-fedora "* ]]
}

# Upstream had this until January 2023, and plugins still ask it
function is_suse {
    true
}

# shellcheck disable=SC2034  # devstack's variables
function GetOSVersion {
    os_VENDOR=openSUSE
    os_RELEASE=$OPENSUSE_RELEASE
    os_CODENAME=n/a
    os_PACKAGE=rpm
}

function GetDistro {
    if [[ ${0##*/} == stack.sh ]]; then
        opensuse_check_upstream
    fi
    GetOSVersion
    # shellcheck disable=SC2034
    DISTRO=opensuse-$os_RELEASE
}

# Libraries are loaded after this file: what they define is seen to when
# upstream has loaded them all, and before plugins are run.
opensuse_keep run_phase
function run_phase {
    if [[ "$1" != override_defaults && "$1" != source ]]; then
        opensuse_late
    fi
    _upstream_run_phase "$@"
    if [[ "$1" == source ]]; then
        opensuse_late
        opensuse_check_packages
    fi
}

function opensuse_late {
    [[ -z "${_OPENSUSE_LATE:-}" ]] || return 0
    _OPENSUSE_LATE=1
    # shellcheck source=roles/configure-devstack-opensuse/files/overlay/late.sh
    source "$OPENSUSE_OVERLAY/late.sh"
}

# The system's python is too old on Leap 15.6, and has a version in its
# packages' names everywhere.
if [[ "$OPENSUSE_RELEASE" == 15.* ]]; then
    PYTHON3_VERSION=${PYTHON3_VERSION:-3.11}
fi
PYTHON3_VERSION=${PYTHON3_VERSION:-3.13}
export PYTHON3_VERSION

# Upstream warns of systems that it does not test, and goes on if forced
# shellcheck disable=SC2034
FORCE=yes
# Upstream sets these in branches that are not ours
# shellcheck disable=SC2034
APACHE_NAME=apache2
APACHE_CONF_DIR=${APACHE_CONF_DIR:-/etc/apache2/vhosts.d}
APACHE_SETTINGS_DIR=${APACHE_SETTINGS_DIR:-/etc/apache2/conf.d}
MYSQL_SERVICE_NAME=${MYSQL_SERVICE_NAME:-mariadb}

$_XTRACE_OPENSUSE
