# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the attribute texts that every module and action of this collection shares.

A module uses ``extends_documentation_fragment: [multimaster.kubernetes.attributes]`` and, where its support differs from
``full``, overrides ``attributes.<name>.support`` and ``details``. Read-only modules use ``…attributes.info``, modules that
run on a managed host ``…attributes.host``, action plugins ``…attributes.controller``.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Give check mode, diff mode and platform attributes to DOCUMENTATION blocks."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode), reads everything, changes nothing and returns the changed status it would have.
  diff_mode:
    support: full
    description: Returns what has changed, or would change in C(check_mode), when in diff mode. Secrets are never shown.
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode); it only reads.
  diff_mode:
    support: N/A
    description: Returns what has changed, or would change in C(check_mode), when in diff mode.
    details: This only reads, so there is never a difference to show.
"""

    HOST = r"""
options: {}
attributes:
  platform:
    support: full
    description: Hosts this can be used on.
    platforms: linux
    details: Needs Python 3.9 or newer on the host and nothing beside its standard library.
"""

    CONTROLLER = r"""
options: {}
attributes:
  action:
    support: full
    description: Runs on the controller as an action plugin.
  platform:
    support: full
    description: Hosts this can be used on.
    platforms: posix
    details: Runs on the Ansible controller only, nothing is copied to a managed host.
"""
