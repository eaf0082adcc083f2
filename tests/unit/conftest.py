# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a bare checkout import itself by its collection name, by Python and by Ansible's plugin loader alike."""

from __future__ import annotations

import pathlib
import sys

from ansible.plugins.loader import init_plugin_loader

COLLECTIONS = str(pathlib.Path(__file__).resolve().parents[2] / "collections")
sys.path.insert(0, COLLECTIONS)
# Before anything of the collection is imported: the loader finds plugins only through an import hook of its own.
init_plugin_loader([COLLECTIONS])
