# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the options of every module that talks to etcd (`_etcd.ARGUMENTS`)."""

from __future__ import annotations


class ModuleDocFragment:
    """Give the connection options to DOCUMENTATION blocks."""

    DOCUMENTATION = r"""
options:
  endpoints:
    description:
      - Client URLs of members. One that answers is enough; members it lists and that are not named here are asked too.
      - Proxy variables of the environment are ignored.
    type: list
    elements: str
    required: true
  ca:
    description: File with the CA that signed the members' client-side certificates.
    type: path
    default: /etc/etcd/pki/client-ca.crt
  client_cert:
    description: File with the client certificate.
    type: path
    default: /etc/etcd/pki/operator-client.crt
  client_key:
    description: File with the client certificate's key.
    type: path
    default: /etc/etcd/pki/operator-client.key
"""
