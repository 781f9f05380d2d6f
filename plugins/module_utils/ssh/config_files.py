# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of ssh_config files: ``ssh -G`` tells what they come to for one host, and not what that depends on."""

from __future__ import annotations

import typing as t

_LONGEST = 64 * 1024  # characters of one file


class ConfigLine(t.NamedTuple):
    """A line that says something; its keyword is in lower case, and its values are without quotes."""

    keyword: str
    values: tuple[str, ...]
    text: str


def config_lines(path: str) -> list[ConfigLine] | None:
    """Return the lines of an ssh_config; None if it is too long to be read completely. Raises :class:`OSError`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        return None
    split = ((line, line.replace("=", " ").replace('"', " ").split()) for line in text.splitlines())
    return [
        ConfigLine(words[0].lower(), tuple(words[1:]), line)
        for line, words in split
        if words and not words[0].startswith("#")
    ]
