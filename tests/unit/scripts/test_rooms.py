# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports run downwards, so that a reader enters each room once."""

from __future__ import annotations

from scripts import rooms


def test_imports_run_downwards() -> None:
    assert rooms.wrong() == []


def test_the_picture_has_every_room() -> None:
    picture = rooms.picture()
    for room in rooms.imports():
        assert f"{room}[{room}]" in picture


def test_an_import_that_follows_from_others_is_left_out() -> None:
    assert "run --> caching_server" in rooms.picture()
    assert "run --> errors" not in rooms.picture()
