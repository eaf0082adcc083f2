# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the options of every action that signs with the CA store on the controller (`_ca_store.open_store`)."""

from __future__ import annotations


class ModuleDocFragment:
    """Give the options that name the CA store to DOCUMENTATION blocks."""

    DOCUMENTATION = r"""
options:
  store:
    description: Folder of the CA store on the controller.
    type: str
    required: true
  cluster_name:
    description: The cluster the store must belong to.
    type: str
    required: true
"""
