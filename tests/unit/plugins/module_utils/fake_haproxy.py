# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play HAProxy's stats socket for tests, with the columns of HAProxy 2.6 that are read."""

from __future__ import annotations

import copy

STAT = "# pxname,svname,scur,status,lastchg,check_status,last_chk,addr,"
STATES = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr "
    "srv_agent_port"
)


class FakeHaproxy:
    """Hold servers {name: {status, check, checked}} and answer commands; give an instance as the connector."""

    def __init__(self, **servers):
        self.servers = {name: {"status": "UP", "check": "L7OK", "checked": True, **entry} for name, entry in servers.items()}
        self.commands, self.refuse, self.down = [], "", False

    def __call__(self, path):
        if self.down:
            raise FileNotFoundError(2, "No such file or directory")
        return Connection(self)

    def picture(self):
        """Return what a check must leave as it is: the servers, and the commands that change something."""
        return copy.deepcopy((self.servers, [command for command in self.commands if not command.startswith("show ")]))

    def answer(self, command):
        """Return the text HAProxy would give."""
        self.commands.append(command)
        words = command.split()
        if command == "show stat":
            rows = [
                f"kube-apiserver,{name},3,{s['status']},17,{s['check']},Layer7 check passed,192.0.2.11:6443,"
                for name, s in self.servers.items()
            ]
            rows += [f"kube-apiserver-unchecked,{name},1,no check,17,,,192.0.2.11:6443," for name in self.servers]
            return "\n".join([STAT, "endpoint,FRONTEND,0,OPEN,,,,,", *rows, "kube-apiserver,BACKEND,3,UP,17,,,,"]) + "\n\n"
        if command == "show servers state":
            rows = [
                f"3 kube-apiserver 1 {name} 192.0.2.11 2 0 1 1 17 15 3 4 {6 if s['checked'] else 2} 0 0 0 - 6443 - 0 0 - - 0"
                for name, s in self.servers.items()
            ]
            rows += [
                f"4 kube-apiserver-unchecked 1 {name} 192.0.2.11 2 0 1 1 17 1 0 0 0 0 0 0 - 6443 - 0 0 - - 0"
                for name in self.servers
            ]
            return "\n".join(["1", STATES, *rows]) + "\n\n"
        if command == "show info":
            return "Name: HAProxy\nVersion: 2.6.12\nPid: 71\nUptime_sec: 1285\nMaxconn: 2026\nCurrConns: 4\n\n"
        name = words[-1 if words[0] == "shutdown" else 2].split("/")[1]
        if self.refuse or name not in self.servers:
            return (self.refuse or "No such server.") + "\n\n"
        if words[0] == "shutdown":
            return "\n"
        if words[1] == "health":
            self.servers[name].update(checked=words[0] == "enable", check="L7OK" if words[0] == "enable" else "")
        else:
            self.servers[name]["status"] = {"drain": "DRAIN", "ready": "UP", "maint": "MAINT"}[words[4]]
        return "\n"


class Connection:
    """Be one connection: a command in, an answer out, then the end."""

    def __init__(self, haproxy):
        self.haproxy, self.parts = haproxy, []

    def sendall(self, data):
        text = self.haproxy.answer(data.decode().strip()).encode()
        self.parts = [text[:7], text[7:], b""]

    def recv(self, _size):
        return self.parts.pop(0)

    def close(self):
        self.parts = None
