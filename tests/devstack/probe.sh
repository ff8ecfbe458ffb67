#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Asks upstream's real devstack, with the overlay in it, what it makes of an
# openSUSE machine. Called by tests/devstack/upstream.py, under the name of
# stack.sh: stack.sh's beginning without what it does to a machine.
#
#   stack.sh TREE FUNCTION [ARGUMENT ...]

# Files and variables are upstream's, and names of packages are words.
# shellcheck disable=SC1090,SC1091,SC2013,SC2016,SC2034,SC2046,SC2154

set -o errexit
TOP_DIR=$1
shift
FILES=$TOP_DIR/files
# shellcheck source=/dev/null
source "$TOP_DIR/functions"
GetDistro
# stack.sh gets these from localrc
DATABASE_PASSWORD=secret RABBIT_PASSWORD=secret SERVICE_PASSWORD=secret ADMIN_PASSWORD=secret
source "$TOP_DIR/stackrc"
STACK_USER=$(id -un)
LOGDIR=$DEST/logs
for library in lib/database lib/rpc_backend lib/host; do
    source "$TOP_DIR/$library"
done
run_phase override_defaults
# What stack.sh loads, and in which order, is upstream's to say
for library in $(sed -nE 's,^source \$TOP_DIR/(lib/[a-z0-9_-]+)$,\1,p' "$TOP_DIR/stack.sh"); do
    source "$TOP_DIR/$library"
done
declare -A BEFORE
for name in "${!OPENSUSE_FUNCTIONS[@]}"; do
    BEFORE[$name]=$(declare -f "$name" | tail -n +2)
done
OFFLINE=True run_phase source

# Nothing is built or fetched here
function pip_install {
    echo "pip_install $*"
}
function pip_install_gr {
    echo "pip_install_gr $*"
}

function ask_identity {
    declare -p os_VENDOR os_RELEASE os_PACKAGE DISTRO PYTHON3_VERSION GLOBAL_VENV FORCE
}

function ask_services {
    declare -p APACHE_NAME MYSQL_SERVICE_NAME OVN_NORTHD_SERVICE OVN_CONTROLLER_SERVICE OVSDB_SERVER_SERVICE \
        OVS_VSWITCHD_SERVICE LIBVIRT_GROUP
}

function ask_paths {
    declare -p APACHE_CONF_DIR APACHE_SETTINGS_DIR APACHE_LOG_DIR
    echo "site=$(apache_site_config_for keystone)"
}

# Each of upstream's lists, by the service that it is for
function ask_lists {
    local file
    for file in "$FILES"/rpms/*; do
        echo "${file##*/}:" $(get_packages "${file##*/}")
    done
}

# The names that zypper would be asked for, all services and drivers on
function ask_wanted {
    opensuse_package_names $(opensuse_wanted_packages) | sort -u
}

# A body that was evaluated anew must still be upstream's. run_phase is kept
# before this file can look at it.
function ask_kept {
    local name
    for name in "${!OPENSUSE_FUNCTIONS[@]}"; do
        if [[ "$name" != run_phase && "${OPENSUSE_FUNCTIONS[$name]}" == *kept* ]]; then
            [[ "${BEFORE[$name]}" == "$(declare -f "_upstream_$name" | tail -n +2)" ]] || echo "$name"
        fi
    done
}

"$@"
