#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What devstack's libraries do another way on openSUSE.
#
# Sourced once, by overlay.sh's run_phase, when all libraries are loaded.
# Which of them are depends on the run: nova's driver, neutron's agent.

# SUSE keeps the list of modules in /etc/sysconfig/apache2
function enable_apache_mod {
    local mod=$1
    local should_restart=${2:-}
    if ! a2enmod -q "$mod"; then
        sudo a2enmod "$mod"
        if [[ "$should_restart" != norestart ]]; then
            restart_apache_server
        fi
    fi
}

# openSUSE's uwsgi is for the system's python, which need not be devstack's.
# Its apache2 has mod_proxy_uwsgi.
function install_apache_uwsgi {
    pip_install uwsgi
    enable_apache_mod proxy norestart
    enable_apache_mod proxy_uwsgi
}

function install_apache_wsgi {
    install_package httpd mod_wsgi
    sudo systemctl enable "$APACHE_NAME"
    enable_apache_mod wsgi
}

# A requests of pip's has certificates of its own: it gets the system's
function fix_system_ca_bundle_path {
    local python=python$PYTHON3_VERSION
    local bundle
    is_service_enabled tls-proxy || return 0
    if [[ "$GLOBAL_VENV" == "True" ]]; then
        python=$DEVSTACK_VENV/bin/python3
    fi
    bundle=$("$python" -c 'from requests import certs; print(certs.where())' 2>/dev/null || true)
    if [[ -n "$bundle" && ! "$bundle" =~ ^(/etc|/var/lib)/ ]]; then
        sudo ln -sfn /var/lib/ca-certificates/ca-bundle.pem "$bundle"
    fi
}

OPENSUSE_ANCHOR=/etc/pki/trust/anchors/devstack-chain.pem

if declare -f init_CA >/dev/null; then
    opensuse_keep init_CA
    function init_CA {
        _upstream_init_CA
        sudo cp "$INT_CA_DIR/ca-chain.pem" "$OPENSUSE_ANCHOR"
        sudo update-ca-certificates
    }

    opensuse_keep cleanup_CA
    function cleanup_CA {
        sudo rm -f "$OPENSUSE_ANCHOR"
        sudo update-ca-certificates
        _upstream_cleanup_CA
    }

    opensuse_keep start_tls_proxy
    function start_tls_proxy {
        # Port 443 and what is common to all hosts wait for this flag
        sudo a2enflag SSL
        _upstream_start_tls_proxy "$@"
    }
fi

if declare -f configure_ovn >/dev/null; then
    opensuse_keep configure_ovn
    function configure_ovn {
        _upstream_configure_ovn
        # SUSE's units run as openvswitch, who can't read devstack's key
        echo 'OVN_USER_ID=root:root' | sudo tee -a /etc/sysconfig/ovn >/dev/null
    }
fi

if declare -f install_libvirt >/dev/null; then
    opensuse_keep install_libvirt
    function install_libvirt {
        _upstream_install_libvirt
        pip_install_gr libvirt-python
    }
fi
