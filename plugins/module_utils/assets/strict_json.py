# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as in RFC 8259, and nothing beyond: what Python accepts, a client's parser may reject or read differently."""

from __future__ import annotations

import json
import typing as t

MOST_DIGITS = 308  # of a number; more than fit into a double, so no two programs agree on it

# The longest first: UTF-32 begins like UTF-16.
_OTHER_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_BOM = b"\xef\xbb\xbf"


def loads(content: bytes) -> t.Any:
    """Return the value of a JSON text. Raises :class:`ValueError` with words that follow "it": ``is not JSON: ...``."""
    text = _decode(content)
    try:
        data = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        if "\\u" in text:
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except _NotStrictError as error:
        raise ValueError(str(error)) from error
    except json.JSONDecodeError as error:
        what = "something follows its end" if error.msg == "Extra data" else error.msg
        raise ValueError(f"is not JSON: {what}, at line {error.lineno}, column {error.colno}") from error
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(f"is not strict JSON: {half} is half of a character") from error
    except RecursionError as error:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from error
    return data


class _NotStrictError(Exception):
    """What Python's parser accepts and the standard does not. Not a ValueError, which the parser itself raises."""


def _decode(content: bytes) -> str:
    if content.startswith(_BOM):
        raise ValueError("is not JSON: it begins with a byte order mark (BOM); save it as UTF-8 without one")
    for mark, encoding in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise ValueError(f"is not JSON: it is {encoding}; save it as UTF-8")
    if b"\0" in content[:2]:
        zeros = not content.strip(b"\0")
        why = "it holds zeros alone, as after a power cut" if zeros else "it is UTF-16 or binary; save it as UTF-8"
        raise ValueError(f"is not JSON: {why}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not JSON: it is not UTF-8 (byte {content[error.start]:#04x} at {error.start})") from error


def _object(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for key, value in pairs:
        if key in found:
            raise _NotStrictError(f"is not strict JSON: {_short(key)} is in it twice")
        found[key] = value
    return found


def _constant(name: str) -> t.NoReturn:
    raise _NotStrictError(f"is not JSON: {name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _NotStrictError(f"is not strict JSON: the number {text[:20]} is too large")
    return number


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise _NotStrictError(f"is not strict JSON: a number of {len(text.lstrip('-'))} digits")
    return int(text)


def _short(text: str) -> str:
    shown = json.dumps(text)  # on one line, whatever is in it
    return shown if len(shown) <= 40 else f"{shown[:36]}..."
