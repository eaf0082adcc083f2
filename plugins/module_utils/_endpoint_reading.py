# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read one master's part in the endpoint: the address, the three services, VRRP, and the API servers as HAProxy sees them.

What cannot be read is None, with the reason beside it. The tools are injected. Leaves out judging (health) and doing
(_endpoint_host).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _addresses,
    _arp,
    _endpoint_host,
    _haproxy,
    _keepalived,
    _systemd,
)

ERRORS = (
    _addresses.AddressError,
    _arp.ArpError,
    _haproxy.HaproxyError,
    _keepalived.KeepalivedError,
    _systemd.UnitError,
)


def read(address, interface, ask_neighbours=True, systemd=None, addresses=None, haproxy=None, keepalived=None, probe=_arp.probe):
    """Return {held_on, others, units, vrrp, peers, servers, haproxy, errors}; asking the neighbours takes half a second."""
    addresses = addresses or _addresses.Addresses()
    haproxy, keepalived = haproxy or _haproxy.Haproxy(), keepalived or _keepalived.Keepalived()
    services, errors = _gather({"units": lambda: _units(systemd or _systemd.Systemd())})
    running = services["units"] is not None and services["units"]["haproxy"]["up"]
    values, more = _gather(
        {
            "held_on": lambda: list(addresses.holders(address)),
            "others": lambda: probe(interface, address) if ask_neighbours else None,
            "vrrp": lambda: keepalived.state().as_dict(),
            "peers": keepalived.peers,
            "servers": lambda: {k: v.as_dict() for k, v in haproxy.servers().items()} if running else None,
            "haproxy": lambda: haproxy.info() if running else None,
        }
    )
    return {**services, **values, "errors": {**errors, **more}}


def _gather(readers):
    """Return {name: value or None} and {name: error} of readers, each called once."""
    values, errors = {}, {}
    for name, reader in readers.items():
        try:
            values[name] = reader()
        except ERRORS as error:
            values[name], errors[name] = None, str(error)
    return values, errors


def _units(systemd):
    """Return whether each of the endpoint's services is up and comes back at boot."""
    states = systemd.show([unit.name for unit in _endpoint_host.ALL])
    return {
        name.rsplit(".", 1)[0]: {"up": state.up, "enabled": state.file_state in ("enabled", "enabled-runtime")}
        for name, state in states.items()
    }
