# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let these tests import the fixtures, and Ansible find the collection of this checkout."""

from __future__ import annotations

import pathlib
import sys

from ansible.plugins.loader import init_plugin_loader

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
init_plugin_loader([str(HERE.parents[2] / "collections")])
