# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each filter that is documented is offered, by one file."""

from __future__ import annotations

import importlib
import pathlib

from ansible_collections.multimaster.kubernetes.plugins import filter as filters


def test_each_documented_filter_is_offered_by_one_file():
    folder = pathlib.Path(filters.__path__[0])
    modules = [importlib.import_module(f"{filters.__name__}.{path.stem}") for path in folder.glob("*.py")]
    offered = sorted(name for module in modules for name in module.FilterModule().filters())
    assert offered == sorted(path.stem for path in folder.glob("*.yml"))
