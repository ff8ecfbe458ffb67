# SPDX-License-Identifier: Apache-2.0
# LXD and Incus call a container's first interface eth0; a second one that never comes would delay the boot.
export DIB_NETWORK_INTERFACE_NAMES=eth0
