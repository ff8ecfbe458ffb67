# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several parts' tests share."""

from .cloud.fixture import cloud

__all__ = ["cloud"]
