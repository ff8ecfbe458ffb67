# SPDX-License-Identifier: Apache-2.0
# The repositories of a release, as root.d of `zypper-minimal` wants them: name=>URL, separated by spaces.
# Comes after opensuse-minimal's 10-, which presets a release and a pattern that is gone. Sourced by every phase.
export DIB_DISTRIBUTION_MIRROR=${DIB_DISTRIBUTION_MIRROR:-https://download.opensuse.org}
export DIB_OPENSUSE_PATTERNS=patterns-base-base
case "$DIB_RELEASE" in
    16.0)
        # Leap 16 has no update repository: updates come into the main one.
        export DIB_ZYPPER_REPOS="oss=>$DIB_DISTRIBUTION_MIRROR/distribution/leap/16.0/repo/oss/"
        ;;
    15.6)
        DIB_ZYPPER_REPOS="oss=>$DIB_DISTRIBUTION_MIRROR/distribution/leap/15.6/repo/oss/"
        DIB_ZYPPER_REPOS+=" update=>$DIB_DISTRIBUTION_MIRROR/update/leap/15.6/oss/"
        DIB_ZYPPER_REPOS+=" backports=>$DIB_DISTRIBUTION_MIRROR/update/leap/15.6/backports/"
        DIB_ZYPPER_REPOS+=" sle=>$DIB_DISTRIBUTION_MIRROR/update/leap/15.6/sle/"
        export DIB_ZYPPER_REPOS
        ;;
    tumbleweed)
        DIB_ZYPPER_REPOS="oss=>$DIB_DISTRIBUTION_MIRROR/tumbleweed/repo/oss/"
        DIB_ZYPPER_REPOS+=" update=>$DIB_DISTRIBUTION_MIRROR/update/tumbleweed/"
        export DIB_ZYPPER_REPOS
        ;;
    *)
        echo "opensuse-container: DIB_RELEASE: \"$DIB_RELEASE\" is not known (16.0, 15.6, tumbleweed)" >&2
        exit 1
        ;;
esac
