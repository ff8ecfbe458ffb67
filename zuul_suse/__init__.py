# SPDX-License-Identifier: Apache-2.0
"""zuul-suse: openSUSE nodes for Zuul, and the jobs that use them."""
