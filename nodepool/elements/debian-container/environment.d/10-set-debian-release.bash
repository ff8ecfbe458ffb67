# SPDX-License-Identifier: Apache-2.0
# Which Debian, and from where. Sourced by every phase.
export DISTRO_NAME=debian
# nodepool-builder exports an empty DIB_RELEASE when a diskimage has no `release:`.
export DIB_RELEASE=${DIB_RELEASE:-bookworm}
export DIB_INIT_SYSTEM=systemd
_zuul_suse_wanted="debian-container: name a mirror of Debian's in it"
export DIB_DISTRIBUTION_MIRROR=${DIB_DISTRIBUTION_MIRROR:?$_zuul_suse_wanted}
export DIB_DEBIAN_SECURITY_MIRROR=${DIB_DEBIAN_SECURITY_MIRROR:?$_zuul_suse_wanted}
unset _zuul_suse_wanted
export DIB_DEBIAN_COMPONENTS=${DIB_DEBIAN_COMPONENTS:-main}

# As Debian's slim images: no manuals, no documentation but licences, no translations. A quarter of the image.
# And no fsync after each package, here and on the node: a node that loses power is made anew.
_zuul_suse_slim="--dpkgopt=force-unsafe-io"
_zuul_suse_slim+=" --dpkgopt=path-exclude=/usr/share/man/*"
_zuul_suse_slim+=" --dpkgopt=path-exclude=/usr/share/doc/*"
_zuul_suse_slim+=" --dpkgopt=path-include=/usr/share/doc/*/copyright"
_zuul_suse_slim+=" --dpkgopt=path-exclude=/usr/share/locale/*"
export DIB_MMDEBSTRAP_EXTRA_ARGS=${DIB_MMDEBSTRAP_EXTRA_ARGS:-$_zuul_suse_slim}
unset _zuul_suse_slim
