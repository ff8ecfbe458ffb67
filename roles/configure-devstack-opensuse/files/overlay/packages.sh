#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What upstream calls an RPM, and what openSUSE calls it.
#
# Sourced by overlay.sh. Owns the map and what devstack installs, asks for and
# removes. A name that is not in the map is the same on openSUSE.

# ``-``: nothing to install. ``{py}``: python313, as devstack's python is.
declare -A -g OPENSUSE_PACKAGES=(
    # files/rpms
    [dbus]=-  # systemd brings it, under a name that changed with Leap 16
    [ebtables]=-  # nftables' ebtables come with iptables
    [gettext]=gettext-tools
    [httpd]=apache2
    [httpd-devel]=apache2-devel
    [iptables-services]=-  # no such units: the rules are devstack's
    [iscsi-initiator-utils]=open-iscsi
    [java-1.8.0-openjdk-headless]=-  # nothing of devstack's is Java any more
    [kernel-modules]=-  # kernel-default has them, see the role
    [liberasurecode-devel]=-  # pyeclib's wheel brings it
    [libjpeg-turbo-devel]=libjpeg8-devel
    [mod_ssl]=-  # a part of apache2
    [mod_wsgi]=apache2-mod_wsgi
    [openldap-clients]=openldap2-client
    [openldap-servers]=openldap2
    [openssl-devel]=libopenssl-devel
    [pcre-devel]=pcre2-devel
    [pkgconfig]=pkg-config
    [python3-devel]="{py}-devel"
    [python3-pip]="{py}-pip"
    [python3-systemd]=systemd-devel  # pip builds it
    [qemu-img]=qemu-tools
    [redhat-rpm-config]=-
    [redhat-lsb-core]=-
    [rsync-daemon]=rsync
    [sqlite]=sqlite3
    [targetcli]=python3-targetcli-fb
    [xorriso]=mkisofs  # nova calls mkisofs
    # named in upstream's functions
    [edk2-ovmf]=qemu-ovmf-x86_64
    [ksmtuned]=-
    [libvirt]="libvirt-daemon libvirt-daemon-qemu libvirt-client"
    [mariadb]=mariadb-client
    [mariadb-devel]=libmariadb-devel
    [mariadb-server]=mariadb
    [python3-configshell]=python3-configshell-fb
    [python3-libvirt]=-  # pip builds it for devstack's python
    [qemu-kvm]="qemu-x86 qemu-accel-tcg-x86"
    [rabbitmq-server]="rabbitmq-server rabbitmq-server-plugins"
    [swtpm-tools]=-  # a part of swtpm
)

# openSUSE's names of some RPMs of upstream's, one a line
function opensuse_package_names {
    local name python=python${PYTHON3_VERSION/./}
    # Upstream also calls with several names in one word
    # shellcheck disable=SC2048
    for name in $*; do
        name=${OPENSUSE_PACKAGES[$name]:-$name}
        name=${name//\{py\}/$python}
        # python3.13-devel
        name=${name/#python${PYTHON3_VERSION}-/${python}-}
        # shellcheck disable=SC2086  # one name may be several of openSUSE's
        [[ "$name" == - ]] || printf '%s\n' $name
    done
}

function real_install_package {
    local names
    mapfile -t names < <(opensuse_package_names "$@")
    [[ ${#names[@]} -gt 0 ]] || return 0
    zypper_install "${names[@]}"
}

function uninstall_package {
    local names
    mapfile -t names < <(opensuse_package_names "$@")
    [[ ${#names[@]} -gt 0 ]] || return 0
    # As upstream's: what is not there need not be removed
    opensuse_zypper remove "${names[@]}" || true
}

function is_package_installed {
    local names
    mapfile -t names < <(opensuse_package_names "$@")
    [[ ${#names[@]} -gt 0 ]] || return 1
    rpm --quiet -q --whatprovides "${names[@]}"
}

# RPMs that this run will want, by upstream's names
function opensuse_wanted_packages {
    get_packages "general,$ENABLED_SERVICES"
    echo "python$PYTHON3_VERSION-devel python$PYTHON3_VERSION-pip"
    if is_service_enabled mysql; then
        echo mariadb-server mariadb-devel mariadb
    fi
    if is_service_enabled rabbit; then
        echo rabbitmq-server
    fi
    if is_service_enabled horizon s-proxy; then
        echo mod_wsgi
    fi
    if is_service_enabled ovn-controller ovn-northd ovs-vswitchd q-agt; then
        get_packages openvswitch
    fi
    if is_service_enabled ovn-controller ovn-northd; then
        get_packages ovn
    fi
    if is_service_enabled n-cpu && [[ "${VIRT_DRIVER:-libvirt}" == libvirt ]]; then
        echo qemu-kvm libvirt libvirt-devel edk2-ovmf swtpm mdevctl
    fi
}

# Addresses of repositories may hold passwords and tokens
function opensuse_mask_addresses {
    sed -uE -e "s,([A-Za-z][A-Za-z0-9+.-]*:/+)[^[:space:]\"'<>|]*@,\1***@,g" \
        -e "s,([A-Za-z][A-Za-z0-9+.-]*:/+[^[:space:]\"'<>|?#]*)[?#][^[:space:]\"'<>|]*,\1?***,g"
}

# zypper as root, which waits where another holds its lock. What it has to
# tell although all was done (zypper(8), EXIT CODES) ends nothing: repositories
# that it skipped, a restart, a package's script that failed.
function opensuse_zypper {
    local sudo="sudo" said code
    local -x ZYPP_LOCK_TIMEOUT=${ZYPP_LOCK_TIMEOUT:-300}
    [[ "$(id -u)" != 0 ]] || sudo="env"
    said=$(mktemp)
    if $sudo http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" LC_ALL=C \
        ZYPP_LOCK_TIMEOUT="$ZYPP_LOCK_TIMEOUT" zypper --non-interactive "$@" 2>&1 |
        opensuse_mask_addresses | tee "$said"; then
        code=${PIPESTATUS[0]}
    else
        code=${PIPESTATUS[0]}
    fi
    if [[ "$code" =~ ^(100|101|102|103|106|107)$ ]]; then
        echo "devstack on openSUSE: zypper ends with $code, all was done:" \
            "$(sed -nE "s/^.*Skipping repository '([^']+)' because.*/repository \1 was skipped/p
                /scriptlet failed/p" "$said" | sort -u | paste -sd ";")"
        code=0
    fi
    rm -f "$said"
    return "$code"
}

# Upstream's has the same arguments
function zypper_install {
    [[ "${OFFLINE:-}" != True ]] || return 0
    opensuse_zypper install --auto-agree-with-licenses --no-recommends "$@"
}

# Ask zypper for all of them at once, before any is installed: stack.sh meets
# a name that openSUSE does not have early, and is told all of them.
function opensuse_check_packages {
    local wanted said missing
    wanted=$(opensuse_wanted_packages)
    # shellcheck disable=SC2086
    mapfile -t wanted < <(opensuse_package_names $wanted | sort -u)
    if said=$(zypper_install --dry-run "${wanted[@]}" 2>&1); then
        grep "^devstack on openSUSE: " <<<"$said" || true
        return 0
    fi
    missing=$(sed -nE "s/^No provider of '([^']+)' found\.$/\1/p" <<<"$said" | sort -u)
    if [[ -n "$missing" ]]; then
        die $LINENO "devstack on openSUSE: $OPENSUSE_RELEASE has no package ${missing//$'\n'/, }"
    fi
    echo "$said"
    die $LINENO "devstack on openSUSE: zypper would not install what devstack wants, see above"
}
