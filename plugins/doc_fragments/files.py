# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document once the sets of files that several modules write."""

from __future__ import annotations


class ModuleDocFragment:
    """Give the options for sets of files to DOCUMENTATION blocks."""

    DOCUMENTATION = r"""
options:
  files:
    description: Files whose content may be shown in a diff.
    type: list
    elements: dict
    default: []
    suboptions: &file
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The whole content.
        type: str
        required: true
      mode:
        description: Mode as a quoted octal string of four digits.
        type: str
        default: "0600"
      owner:
        description: Owner's name.
        type: str
        default: root
      group:
        description: Group's name.
        type: str
        default: root
      validate:
        description: A program and its arguments that judges the new content; C(%s) stands for the staged file. It does not
          run in check mode.
        type: list
        elements: str
        default: []
  secrets:
    description: Files like O(files) whose content is never shown, neither in a diff nor in an error.
    type: list
    elements: dict
    default: []
    suboptions: *file
  directories:
    description: Directories.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      mode:
        description: Mode as a quoted octal string of four digits.
        type: str
        default: "0755"
      owner:
        description: Owner's name.
        type: str
        default: root
      group:
        description: Group's name.
        type: str
        default: root
  links:
    description: Symbolic links, path to target.
    type: dict
    default: {}
  absent:
    description: Exact paths that shall not exist; no patterns. A directory goes with what is in it, unless something is
      mounted there or it belongs to the operating system.
    type: list
    elements: path
    default: []
"""
