# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a bare checkout import itself by its collection name, by Python and by Ansible's plugin loader alike."""

from __future__ import annotations

import pathlib
import sys

import hypothesis
from ansible.plugins.loader import init_plugin_loader

COLLECTIONS = str(pathlib.Path(__file__).resolve().parents[2] / "collections")
sys.path.insert(0, COLLECTIONS)
# Before anything of the collection is imported: the loader finds plugins only through an import hook of its own.
init_plugin_loader([COLLECTIONS])
# A starved machine is no fault of the code: no test is judged by its time.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
