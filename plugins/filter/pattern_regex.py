# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter pattern_regex: a pattern of the sync, as a regular expression for a web server."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pattern_regex
short_description: A pattern of paths, as a regular expression
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Translates a pattern, as used in the variables of the role C(netboot_sync), into a regular expression for Python and
    PCRE (and so nginx), to be put after the C(/) with which paths begin there.
options:
  _input:
    description: The pattern.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Which images have no marker
  ansible.builtin.debug:
    msg: "{{ 'caching-server/*.squashfs' | netboot.syncer.pattern_regex }}"  # caching\-server/[^/]*\.squashfs\Z
"""

RETURN = r"""
_value:
  description: The regular expression. It is anchored only at its end.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import compile_pattern


def pattern_regex(pattern: str) -> str:
    """Return the regular expression. Raises AnsibleFilterError for an invalid pattern."""
    try:
        return compile_pattern(pattern).pattern
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"pattern_regex": pattern_regex}
