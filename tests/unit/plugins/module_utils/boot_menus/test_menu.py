# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients are offered, and which of a user's texts may be used in a boot script."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus import menu as boot_menu
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.menu import NotOffered, Offer

from tests.unit.plugins.module_utils.trees import HOUR, KERNEL, NOON, Assets

IMAGE = "prod/21-04-09-gnome-master-f1d734e"


def offers_of(assets: Assets, rules: Rules | None = None) -> tuple[dict[str, Offer], dict[str, str]]:
    """Return by path what is offered, and why the rest is not."""
    inventory = assets.inventory(rules)
    offered, reasons = {}, {}
    for image in inventory.images:
        try:
            offered[image.path] = boot_menu.make_offer(image, inventory, (rules or Rules()).kernel_files)
        except NotOffered as error:
            reasons[image.path] = str(error)
    return offered, reasons


def offer(path: str, newest: int = NOON, sha256: str = "") -> Offer:
    return Offer(f"{path}.squashfs", f"{path}.json", "kernels/5/vmlinuz", "kernels/5/initrd", "5", sha256, newest)


def test_an_image_is_offered_with_the_kernel_that_its_marker_names() -> None:
    offered, reasons = offers_of(Assets().kernel().kernel("6.1").latest("6.1").image(IMAGE, sha256="a" * 64).image("x"))
    # the first states a hash that does not match
    assert list(reasons) == [f"{IMAGE}.squashfs"]
    assert list(offered) == ["x.squashfs"]
    assert offered["x.squashfs"] == Offer(
        path="x.squashfs",
        marker="x-kernel.json",
        kernel=f"kernels/{KERNEL}/vmlinuz",
        initrd=f"kernels/{KERNEL}/initrd",
        version=KERNEL,
        newest=NOON,
    )


@pytest.mark.parametrize(
    ("assets", "version"),
    [
        pytest.param(Assets().kernel().latest().image(IMAGE, None), KERNEL, id="marker-without-a-version"),
        pytest.param(
            Assets().kernel().latest().image(IMAGE).drop(f"{IMAGE}-kernel.json"), KERNEL, id="image-without-a-marker"
        ),
    ],
)
def test_what_names_no_kernel_boots_the_one_pointed_to(assets: Assets, version: str) -> None:
    offered, _unused = offers_of(assets, Rules(unmarked_images=("prod/**",)))
    assert [one.version for one in offered.values()] == [version]


def test_kernel_and_initrd_have_the_names_that_are_there() -> None:
    assets = Assets().image(IMAGE, "6.1").file("kernels/6.1/vmlinuz-6.1", b"k").file("kernels/6.1/initrd.img", b"i")
    offered, _unused = offers_of(assets)
    assert [(one.kernel, one.initrd) for one in offered.values()] == [
        ("kernels/6.1/vmlinuz-6.1", "kernels/6.1/initrd.img")
    ]
    nothing, reasons = offers_of(assets, Rules(kernel_files=(("vmlinuz-{version}",),)))
    assert nothing == {}
    assert ["names no initrd" in reason for reason in reasons.values()] == [True]


@pytest.mark.parametrize(
    ("assets", "reason"),
    [
        pytest.param(
            Assets().kernel().image(IMAGE).drop(f"{IMAGE}-kernel.json"),
            "no marker yet",
            id="withdrawn-or-not-yet-there",
        ),
        pytest.param(Assets().image(IMAGE), "it requires kernels/", id="its-kernel-is-missing"),
        pytest.param(Assets().kernel().image(IMAGE, None), "names no kernel", id="no-kernel-at-all"),
        pytest.param(
            Assets().kernel().kernel("6.1").image(IMAGE).marker(f"{IMAGE}.json", {"version": "6.1"}),
            "several kernels",
            id="two-markers-that-disagree",
        ),
        pytest.param(Assets().kernel("5:1").image(IMAGE, "5:1"), "could take ':'", id="version-with-a-colon"),
        pytest.param(Assets().kernel().image("prod/a b"), "could take ' ' in the name 'a b.squashfs'", id="blank"),
        pytest.param(Assets().kernel().image("prod/a\nb"), "name 'a\\nb.squashfs'", id="newline"),
        pytest.param(Assets().kernel().image("prod/${net0}"), "could take '$'", id="setting"),
        pytest.param(Assets().kernel().image("prod/#a"), "could take '#'", id="comment"),
        pytest.param(Assets().kernel().image("prod/-a"), "could take '-'", id="option"),
        pytest.param(Assets().kernel().image("a||b/x"), "could take '|'", id="directory"),
        pytest.param(Assets().kernel().image("a&&b"), "could take '&'", id="and"),
        pytest.param(Assets().kernel().image("a%20b"), "could take '%'", id="escape-of-a-url"),
        pytest.param(Assets().kernel().image("a?b"), "could take '?'", id="query"),
        pytest.param(Assets().kernel().image("ä"), "could take 'ä'", id="not-ascii"),
        pytest.param(Assets().kernel().image("a\\b"), "could take '\\'", id="backslash"),
    ],
)
def test_what_is_not_offered_and_why(assets: Assets, reason: str) -> None:
    offered, reasons = offers_of(assets)
    assert offered == {}
    assert [reason in one for one in reasons.values()] == [True], reasons


@pytest.mark.parametrize(
    ("offers", "newest", "older"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param(
            [offer("p/21-04-08-gnome-m"), offer("p/21-04-09-gnome-m"), offer("p/21-04-09-kde-m", NOON + HOUR)],
            ["p/21-04-09-kde-m", "p/21-04-09-gnome-m"],
            ["p/21-04-08-gnome-m"],
            id="one-of-each-flavour-before-older-ones",
        ),
        pytest.param(
            [offer("p/21-04-09-gnome-m"), offer("p/21-04-08-gnome-m", NOON + HOUR)],
            ["p/21-04-08-gnome-m"],
            ["p/21-04-09-gnome-m"],
            id="the-marker-is-what-is-new-not-the-name",
        ),
        pytest.param(
            [offer("dev/21-04-09-gnome-a", NOON + HOUR), offer("prod/21-04-08-gnome-m")],
            ["dev/21-04-09-gnome-a", "prod/21-04-08-gnome-m"],
            [],
            id="directories-are-apart",
        ),
        pytest.param(
            [offer("p/21-04-08-gnome-m-aaaaaa1"), offer("p/21-04-09-gnome-topic-bbbbbb2")],
            ["p/21-04-09-gnome-topic-bbbbbb2"],
            ["p/21-04-08-gnome-m-aaaaaa1"],
            id="a-branch-is-of-the-same-flavour",
        ),
    ],
)
def test_order(offers: list[Offer], newest: list[str], older: list[str]) -> None:
    for given in (offers, offers[::-1]):
        found = boot_menu.in_menu_order(given)
        assert [[one.label for one in some] for some in found] == [newest, older]


@pytest.mark.parametrize(
    ("path", "label"),
    [("prod/a.squashfs", "prod/a"), ("prod/a.img", "prod/a"), ("p/gnome-21.04", "p/gnome-21.04"), ("p.d/a", "p.d/a")],
)
def test_label(path: str, label: str) -> None:
    """Two images whose names end with a version get two different lines in the menu."""
    assert dataclasses.replace(offer("prod/x"), path=path).label == label


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        pytest.param([], "dev/21-04-10-kde", id="the-newest-of-all"),
        pytest.param(["prod/**"], "prod/21-04-09-gnome", id="the-newest-that-matches"),
        pytest.param(["*xfce*", "*21-04-08*"], "prod/21-04-08-gnome", id="the-first-pattern-that-matches-any"),
        pytest.param(["*xfce*"], "dev/21-04-10-kde", id="none-matches"),
    ],
)
def test_default(patterns: list[str], chosen: str) -> None:
    offers = [offer("prod/21-04-09-gnome"), offer("dev/21-04-10-kde", NOON + HOUR), offer("prod/21-04-08-gnome")]
    found = boot_menu.choose(offers, patterns)
    assert found is not None
    assert found.label == chosen
    assert boot_menu.choose([], patterns) is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param(["192.0.2.1"], ["192.0.2.1"], id="address"),
        pytest.param(["192.0.2.0/30", "192.0.2.2"], ["192.0.2.1", "192.0.2.2"], id="network-and-an-address-in-it"),
        pytest.param(["192.0.2.4/31"], ["192.0.2.4", "192.0.2.5"], id="two-addresses"),
        pytest.param(["192.0.2.5/30"], ["192.0.2.5", "192.0.2.6"], id="address-with-its-prefix"),
        pytest.param(["10.0.0.0/8"], "10.0.0.0/8 is too large", id="large-network"),
        pytest.param(["2001:db8::1"], "'2001:db8::1' is not an IPv4 address", id="ipv6"),
        pytest.param(["192.0.2.1 || shell"], "is not an IPv4 address", id="syntax"),
    ],
)
def test_gateways(given: list[str], found: list[str] | str) -> None:
    if isinstance(found, str):
        with pytest.raises(ValueError, match=found):
            boot_menu.read_gateways(given)
    else:
        assert list(boot_menu.read_gateways(given)) == found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(["boot=live fetch={url}", "quiet"], ["boot=live", "fetch={url}", "quiet"], id="several-in-one"),
        pytest.param(["a=${net0/ip}"], "'a=${net0/ip}' for syntax", id="setting"),
        pytest.param(["a || shell"], "'||' for syntax", id="or"),
        pytest.param(["a && shell"], "'&&' for syntax", id="and"),
        pytest.param(["a #b"], "'#b' for syntax", id="comment"),
        pytest.param(["a\\"], "for syntax", id="line-that-goes-on"),
        pytest.param(["a\nshell"], "nshell' holds", id="newline"),
        pytest.param(["a\tb"], "holds", id="tab"),
        pytest.param(["ä"], "holds", id="not-ascii"),
        pytest.param(["a={urll}"], "unknown {urll}", id="misspelt-placeholder"),
        pytest.param(["a||b", "c#d"], ["a||b", "c#d"], id="not-by-themselves"),
    ],
)
def test_arguments(given: list[str], words: list[str] | str) -> None:
    if isinstance(words, str):
        with pytest.raises(ValueError, match=words.replace("{", "\\{").replace("|", "\\|").replace("$", "\\$")):
            boot_menu.read_arguments(given)
    else:
        assert list(boot_menu.read_arguments(given)) == words


def test_arguments_of_an_image() -> None:
    rules = boot_menu.read_rules([{"images": ["*kde*"], "arguments": ["toram"]}, {"images": "x", "arguments": ["no"]}])
    words = boot_menu.read_arguments(["fetch={url}", "other={server_url}", "sum={sha256}", "k={version}", "n={name}"])
    plain, stated = offer("prod/a-kde"), offer("prod/a", sha256="f" * 64)
    assert boot_menu.arguments_for(plain, words, rules) == [
        "fetch=${base}/prod/a-kde.squashfs",
        "other=${server}/prod/a-kde.squashfs",
        "k=5",
        "n=a-kde",
        "toram",
    ]
    assert f"sum={'f' * 64}" in boot_menu.arguments_for(stated, words, rules)


SITE = {"name": "berlin", "cache_url": "http://192.0.2.10/", "gateways": ["192.0.2.9"]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"name": "a b"}, "the site 'a b' has a name", id="name"),
        pytest.param({"name": "${x}"}, "the site '\\${x}'", id="name-with-a-setting"),
        pytest.param({"cache_url": "http://a b/"}, "berlin: cache_url", id="url-with-a-blank"),
        pytest.param({"cache_url": "tftp://a"}, "berlin: cache_url", id="no-http"),
        pytest.param({"cache_url": ""}, "berlin: cache_url", id="no-url"),
        pytest.param({"cache_url": "http://a/${x}"}, "berlin: cache_url", id="url-with-a-setting"),
        pytest.param({"arguments": ["a={url}"]}, "berlin: arguments.*unknown {url}", id="placeholder-of-an-image"),
        pytest.param({"exclude": ["../x"]}, "berlin: not a pattern", id="pattern"),
    ],
)
def test_a_site_that_makes_no_sense_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        boot_menu.read_site({**SITE, **changes})


def test_a_gateway_belongs_to_one_site() -> None:
    sites = [boot_menu.read_site({**SITE, "name": name}) for name in ("berlin", "bonn")]
    with pytest.raises(ValueError, match=r"192\.0\.2\.9 is named by berlin and by bonn"):
        boot_menu.check_sites(sites)
    with pytest.raises(ValueError, match="berlin is named twice"):
        boot_menu.check_sites(sites[:1] * 2)


@pytest.mark.parametrize("mac", ["52:54:00:AB:cd:ef", "52-54-00-ab-cd-ef", "525400abcdef"])
def test_a_machine_has_a_script_of_its_own(mac: str) -> None:
    assert boot_menu.read_machine({"mac": mac, "image": "prod/*"}).script == "MAC-525400abcdef.ipxe"


@pytest.mark.parametrize("mac", ["", "52:54:00", "52:54:00:ab:cd:eg", "../../etc/passw"])
def test_what_is_no_mac_is_refused(mac: str) -> None:
    with pytest.raises(ValueError, match="not a MAC"):
        boot_menu.read_machine({"mac": mac, "image": "prod/*"})
