"""The messages of the code, each by its text with ``…`` for what is filled in, and the page that explains them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible_collections.netboot.syncer.plugins.module_utils.options import BY_NAME

MEANINGS = Path("docs/docsite/messages.toml")
# The first argument of these, or `what` or `msg`, is what a user reads.
_ERRORS = re.compile(r"(Error|Trouble|Refused|Lost|Held|Changed|Unreadable|Later|ActionFail|Full|Failed)$")
_CALLS = {"fail_json"}
_WARNINGS = {"warn", "warning"}
# A returned reason is a sentence; anything with fewer words is a part of one.
_LEAST_WORDS = 4
# These are for other parts of the code, or carry a system error in its own words.
NOT_TOLD = {"NotImplementedError", "SourceUnreadable"}
HOLE = "…"
INTRODUCTION = """\
# Troubleshooting by message

This page has each message of the code; `…` stands for what a run fills in: a host, a path, an answer. A run puts the
name of the caching server before it. Search the page for a part of the message without names.

The next run fixes what is left; nothing has to be cleaned up by hand unless this page says so.
"""


def text_of(node: ast.AST | None) -> str | None:
    """The text of an expression, or None if it cannot be read here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else _filled_in(one) for one in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else (left or HOLE) + (right or HOLE)
    return None


def _filled_in(node: ast.expr) -> str:
    """A hole, unless it is an option, which appears as its variable."""
    call = node.value if isinstance(node, ast.FormattedValue) else node
    if (
        isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "called"
        and isinstance(call.args[0], ast.Constant)
    ):
        option = BY_NAME[str(call.args[0].value)]
        return option.variable_name or option.name
    return HOLE


def texts_of(node: ast.AST | None) -> Iterator[str]:
    """The possible texts of an expression: a conditional has two."""
    if isinstance(node, ast.IfExp):
        yield from texts_of(node.body)
        yield from texts_of(node.orelse)
    else:
        found = text_of(node)
        if found is not None:
            yield normal(found)


def normal(text: str) -> str:
    """A message in the form for comparison: on one line, with adjacent holes merged."""
    return re.sub(rf"{HOLE}(\s*{HOLE})+", HOLE, " ".join(text.split())).strip()


def _in_python(path: Path) -> Iterator[tuple[str, str]]:
    reasons = path.parent.name == "assets" or path.name == "requirements.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if reasons and isinstance(node, ast.Return):
            yield from ((text, "") for text in _reasons(node.value))
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        warns = name in _WARNINGS or (name == "append" and ast.unparse(node.func).endswith("warnings.append"))
        if name in NOT_TOLD or not (_ERRORS.search(name) or name in _CALLS or warns):
            continue
        keywords = {one.arg: one.value for one in node.keywords}
        what = keywords.get("msg") if name in _CALLS else (node.args[0] if node.args else keywords.get("what"))
        remedy = next(texts_of(keywords.get("remedy")), "")
        for text in texts_of(what):
            # One that only combines others belongs to them.
            if re.search(r"\w", text.replace(HOLE, "")):
                yield text, remedy


def _reasons(node: ast.AST | None) -> Iterator[str]:
    """Why something is held back, or a host is unusable: what a function returns, alone or with something else."""
    for one in node.elts if isinstance(node, ast.Tuple) else [node]:
        yield from (text for text in texts_of(one) if len(re.findall(r"\w+", text)) >= _LEAST_WORDS)


def _in_yaml(path: Path) -> Iterator[str]:
    def walk(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "fail_msg" and isinstance(value, str):
                    yield value
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for one in node:
                yield from walk(one)

    for text in walk(yaml.safe_load(path.read_text(encoding="utf-8"))):
        yield normal(re.sub(r"\{\{.*?\}\}", HOLE, text, flags=re.DOTALL))


def told() -> dict[str, str]:
    """Every message of the code, with the remedy that it names."""
    found: dict[str, str] = {}
    for path in sorted(Path("plugins").rglob("*.py")):
        found.update(_in_python(path))
    for room in ("roles", "playbooks"):
        for path in sorted(Path(room).rglob("*.yml")):
            found.update((text, "") for text in _in_yaml(path) if re.search(r"\w", text.replace(HOLE, "")))
    return found


def explained() -> dict[str, dict[str, str]]:
    """The content of the page, by section: a message and its meaning."""
    sections: dict[str, dict[str, str]] = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    return sections


def page() -> str:
    """The page: every message, the remedy in its run, and what it means."""
    remedies = told()
    lines = [*INTRODUCTION.splitlines(), ""]
    for section, entries in explained().items():
        lines += [f"## {section}", ""]
        for message, meaning in entries.items():
            remedy = remedies.get(message, "")
            remedy = f" *The run says:* {_plain(remedy)}" if remedy.strip(HOLE + " ") else ""
            lines += [f"``{message}``", f": {meaning.strip()}{remedy}", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    return re.sub(r"([*_`<\[\]])", r"\\\1", text)
