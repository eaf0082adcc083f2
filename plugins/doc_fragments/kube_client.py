# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the options of every module that talks to the Kubernetes API (`_kube.ARGUMENTS`)."""

from __future__ import annotations


class ModuleDocFragment:
    """Give the connection options to DOCUMENTATION blocks."""

    DOCUMENTATION = r"""
options:
  server:
    description: The API server's URL. Proxy variables of the environment are ignored.
    type: str
    default: https://127.0.0.1:6443
  ca:
    description: File with the CA that signed the API server's certificate.
    type: path
    default: /etc/kubernetes/pki/ca.crt
  client_cert:
    description: File with the client certificate.
    type: path
    default: /etc/kubernetes/pki/operator.crt
  client_key:
    description: File with the client certificate's key.
    type: path
    default: /etc/kubernetes/pki/operator.key
"""
