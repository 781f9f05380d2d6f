# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pattern matches, and what include and exclude choose together."""

from __future__ import annotations

import contextlib
import fnmatch

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import WORK_DIRECTORY
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection, matches
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN_NAMES = st.text("ab.-_ äß\n\udcff+()$^|{}\\", min_size=1, max_size=6)
PLAIN_NAMES = PLAIN_NAMES.filter(lambda name: name not in (".", ".."))  # these are not names
PLAIN_PATHS = st.lists(PLAIN_NAMES, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        pytest.param("dev/**", ["dev/a", "dev/a/b"], ["dev", "prod/a", "devel/a", "x/dev/a"], id="all-below"),
        pytest.param("**", ["a", "a/b", "a/b/c"], [], id="two-stars-alone"),
        pytest.param("*", ["a", "a/b"], [], id="one-star-alone"),
        pytest.param("*.json", ["a.json", "x/y/a.json"], ["a.jsonx", "a_json", "json"], id="name-at-any-depth"),
        pytest.param("/*.json", ["a.json"], ["x/a.json"], id="leading-slash-only-at-the-top"),
        pytest.param("/dev", ["dev", "dev/a/b"], ["x/dev", "x/dev/a"], id="leading-slash-covers-what-is-below"),
        pytest.param("dev", ["dev", "dev/a", "x/dev", "x/dev/a"], ["devel", "x/devel/a"], id="directory-name"),
        pytest.param("dev/", ["dev", "dev/a", "x/dev/a"], ["devel/a"], id="trailing-slash"),
        pytest.param("/dev/", ["dev/a"], ["x/dev/a"], id="both-slashes"),
        pytest.param("dev/a", ["dev/a", "dev/a/b"], ["x/dev/a", "dev/ab", "dev"], id="slash-inside-is-anchored"),
        pytest.param("dev/*", ["dev/a", "dev/a/b"], ["dev", "x/dev/a"], id="star-matches-a-directory-and-all-in-it"),
        pytest.param("dev/*.img", ["dev/a.img"], ["dev/x/a.img"], id="star-stays-within-a-name"),
        pytest.param("dev/*/a", ["dev/x/a"], ["dev/a", "dev/x/y/a"], id="star-is-exactly-one-directory"),
        pytest.param("dev/**/a", ["dev/a", "dev/x/a", "dev/x/y/a"], ["dev/xa", "a"], id="two-stars-are-any-depth"),
        pytest.param("**/a", ["a", "x/a", "x/y/a"], ["xa", "x/ya"], id="two-stars-in-front"),
        pytest.param("dev/**.img", ["dev/a.img", "dev/x/a.img"], ["prod/a.img"], id="two-stars-inside-a-name"),
        pytest.param("a?c", ["abc", "x/a.c"], ["ac", "abbc", "a/c"], id="question-mark"),
        pytest.param("[ab]1", ["a1", "b1", "x/a1"], ["c1", "ab1"], id="set"),
        pytest.param("[a-c]", ["a", "b", "c"], ["d", "-"], id="range"),
        pytest.param("[!ab]1", ["c1"], ["a1", "b1", "1"], id="negated-set"),
        pytest.param("a[!b]c", ["axc", "a!c", "x/axc"], ["abc", "a/c", "ac"], id="negated-set-stays-within-a-name"),
        pytest.param("a[!b]c/d", ["axc/d"], ["a/c/d", "abc/d"], id="negated-set-in-a-directory-name"),
        pytest.param("a[+-~]c", ["a.c", "axc"], ["a/c"], id="range-over-the-slash-stays-within-a-name"),
        pytest.param("[]]", ["]"], ["[]]", "["], id="bracket-in-a-set"),
        pytest.param("[!]]", ["a", "["], ["]", "[!]]"], id="bracket-in-a-negated-set"),
        pytest.param("[!]a]", ["b", "!"], ["]", "a"], id="more-in-a-negated-set-with-a-bracket"),
        pytest.param("[[a]", ["[", "a"], ["]", "b"], id="opening-bracket-in-a-set"),
        pytest.param("[a&&b]", ["a", "b", "&"], ["c"], id="no-set-operations"),
        pytest.param("[!a", ["[!a"], ["b"], id="negated-set-that-is-not-closed"),
        pytest.param(r"[\d]", ["d", "\\"], ["1"], id="backslash-in-a-set"),
        pytest.param("a[1", ["a[1"], ["a1"], id="bracket-that-is-not-closed"),
        pytest.param("Dev", ["Dev"], ["dev"], id="case"),
        pytest.param("./dev/**", ["dev/a", "dev/a/b"], ["dev", "x/dev/a"], id="dot-in-front"),
        pytest.param("./dev", ["dev", "dev/a"], ["x/dev"], id="dot-in-front-is-anchored"),
        pytest.param("dev/./a//b", ["dev/a/b"], ["dev/a", "x/dev/a/b"], id="dots-and-slashes-inside"),
    ],
)
def test_pattern(pattern: str, matched: list[str], others: list[str]) -> None:
    assert {path: matches(path, [pattern]) for path in matched + others} == {
        **dict.fromkeys(matched, True),
        **dict.fromkeys(others, False),
    }


@pytest.mark.parametrize(
    ("name", "other"),
    [
        pytest.param("a.b", "axb", id="dot"),
        pytest.param("a+", "aa", id="plus"),
        pytest.param("(a)", "a", id="parentheses"),
        pytest.param("a{2}", "aa", id="braces"),
        pytest.param("a|b", "a", id="bar"),
        pytest.param("^a$", "a", id="anchors"),
        pytest.param(r"\w", "a", id="backslash"),
        pytest.param("a b", "a  b", id="space"),
        pytest.param("a", "a\n", id="line-feed-at-the-end"),
        pytest.param("bär", "bar", id="umlaut"),
        pytest.param("\udcff", "\udcfe", id="not-utf-8"),
    ],
)
def test_special_characters_stand_for_themselves(name: str, other: str) -> None:
    assert matches(name, [name])
    assert matches(f"dev/{name}/below", [name])
    assert not matches(other, [name])


@pytest.mark.parametrize("name", ["a\nb", "\udcff", "a b", "ä"], ids=ascii)
def test_wildcards_match_any_character(name: str) -> None:
    assert matches(name, ["*"])
    assert matches(f"dev/{name}", ["dev/**"])
    assert matches(f"{name}/below", ["?" * len(name)])


def test_no_pattern_matches_nothing() -> None:
    assert not matches("a", [])


def test_one_matching_pattern_is_enough() -> None:
    assert matches("dev/a", ["prod", "dev"])


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(path=PLAIN_PATHS, below=PLAIN_PATHS)
def test_path_is_a_pattern_of_itself_and_all_below(path: str, below: str) -> None:
    assert matches(path, [f"/{path}"])
    assert matches(f"{path}/{below}", [f"/{path}"])
    assert not matches(f"{path}x", [f"/{path}"])
    assert not matches(f"above/{path}", [f"/{path}"])
    assert matches(f"{path}/{below}", [f"{path}/**"])


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(pattern=st.text("ab*?", min_size=1, max_size=6), name=st.text("ab", min_size=1, max_size=6))
def test_within_a_name_it_is_a_shell_pattern(pattern: str, name: str) -> None:
    assert matches(name, [pattern]) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("include", "exclude", "chosen", "others"),
    [
        pytest.param([], [], ["a", "dev/a"], [], id="everything"),
        pytest.param(["dev/**"], [], ["dev/a"], ["prod/a", "a"], id="include"),
        pytest.param([], ["dev/**"], ["prod/a", "a"], ["dev/a"], id="exclude"),
        pytest.param(["dev/**"], ["*.img"], ["dev/a"], ["dev/a.img", "prod/a"], id="exclude-wins"),
        pytest.param(["dev/a"], ["dev"], [], ["dev/a"], id="exclude-of-the-directory-wins"),
        pytest.param(["dev/**", "prod/**"], [], ["dev/a", "prod/a"], ["a"], id="any-include-is-enough"),
    ],
)
def test_selection(include: list[str], exclude: list[str], chosen: list[str], others: list[str]) -> None:
    selection = Selection(include=include, exclude=exclude)
    assert [path for path in chosen + others if selection.has(path)] == chosen


@pytest.mark.parametrize("include", [[], ["**"], [".*"], ["*"], [".hidden", "dev/.hidden/a", WORK_DIRECTORY]], ids=str)
@pytest.mark.parametrize(
    "path", [".hidden", "dev/.hidden", ".hidden/a", "dev/.hidden/a", "..", f"{WORK_DIRECTORY}/incoming/a"]
)
def test_hidden_names_are_never_chosen(include: list[str], path: str) -> None:
    assert not Selection(include=include).has(path)


def test_excluded_is_only_what_a_pattern_names() -> None:
    selection = Selection(include=["dev/**"], exclude=["*.img"])
    assert selection.excludes("kernels/a.img")
    assert not selection.excludes("kernels/a")  # not chosen either, but an image may bring it along


@pytest.mark.parametrize("field", ["include", "exclude"])
def test_what_is_no_pattern_is_refused_by_its_text(field: str) -> None:
    with pytest.raises(ValueError, match=r"not a pattern: 'prod/\[z-a\]'"):
        Selection(**{field: ["dev", "prod/[z-a]"]})


@pytest.mark.parametrize("pattern", ["", "/", "//", ".", "./", "/."])
def test_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    # Taken as "everything", it would be a surprise in exclude; taken as "nothing", in include.
    with pytest.raises(ValueError, match=r"names nothing in the tree; everything is \*\*"):
        Selection(include=[pattern])


@pytest.mark.parametrize("pattern", ["..", "../dev", "dev/../prod", "/../dev/**"])
def test_pattern_that_leads_above_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"leads above the tree with \.\."):
        Selection(exclude=[pattern])


@pytest.mark.filterwarnings("error")
@settings(database=None, derandomize=True, deadline=None, max_examples=300)
@given(pattern=st.text("ab[]!^-&|~*?./\\", max_size=8), name=st.text("ab[]!^-&|~\\", min_size=1, max_size=4))
def test_any_text_is_a_pattern_or_bad_input(pattern: str, name: str) -> None:
    # Any other exception would end a run with a traceback.
    with contextlib.suppress(ValueError):
        found = matches(name, [pattern])
        if "/" not in pattern and "^" not in pattern:
            assert found == fnmatch.fnmatchcase(name, pattern)
