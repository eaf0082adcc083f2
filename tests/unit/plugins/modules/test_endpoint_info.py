# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test endpoint_info: the arguments reach the reading, the reading is the result."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.modules import endpoint_info


def test_what_is_read_is_returned(call, monkeypatch):
    monkeypatch.setattr(endpoint_info._endpoint_reading, "read", lambda **arguments: {"asked": arguments})
    result = call(endpoint_info, {"address": "192.0.2.10", "interface": "eth0"}, check=True)
    assert result["asked"] == {"address": "192.0.2.10", "interface": "eth0", "ask_neighbours": True}
    assert not result["changed"]
