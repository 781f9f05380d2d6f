# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154  # $root comes from ./dev
#
# Sourced by ./dev, with $root set and as the current directory: the machine's requirements, and the environment in
# .venv.

# One resolution for all Pythons; names, versions and hashes only, so that it holds for any package index.
# shellcheck disable=SC2034  # used by ./dev
lock_options=(--universal --python-version 3.11 --generate-hashes --no-header --no-annotate)

say() { printf '%s\n' "$*" >&2; }

die() {
  say "./dev: $*"
  exit 1
}

# set_up COMMAND...: the machine has these commands, .venv is there and comes first in PATH.
set_up() {
  prepare_shell
  local lock_fd
  mkdir -p .cache
  exec {lock_fd}>.cache/setup.lock
  # Two terminals may start at once; the second waits for the first one's setup. (No flock: no lock, no harm if alone.)
  if command -v flock >/dev/null; then flock "$lock_fd"; fi
  prepare_machine "$@"
  # uv ships its own certificates; a company's package index may have one that only this machine trusts.
  if [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]]; then export UV_SYSTEM_CERTS=1; fi
  prepare_environment
  exec {lock_fd}>&-
}

# welcome COMMAND...: the machine has these commands too, if possible; tests that need a missing one are skipped.
welcome() {
  (prepare_machine "$@") || say "Going on without: tests that want this are left out, and the summary names them (SKIPPED)."
}

# The same environment for every command, whatever the user's shell settings.
prepare_shell() {
  if [[ ! -d ${HOME:-} || ! -w $HOME ]]; then
    mkdir -p .cache/home
    export HOME=$root/.cache/home
  fi
  # sshd and tc are in sbin, which an ordinary user's PATH does not always include.
  export PATH=$root/.venv/bin:/usr/sbin:/sbin:$PATH
  export LC_ALL=C.UTF-8
  export ANSIBLE_CONFIG=$root/ansible.cfg
  export UV_PYTHON_DOWNLOADS=never
  # A python that belongs to another environment must not leak into this one; and what is compiled is kept, for the next
  # of many processes.
  unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
}

# --- the machine ------------------------------------------------------------------------------------------------------

# prepare_machine COMMAND...: installs what is missing of these and of Python; or names it, with the way to get it.
prepare_machine() {
  local missing
  missing=$(missing_of "$@") || exit 1
  [[ -n $missing ]] || return 0

  local manager='' become=() may_install=no named update=''
  named=${missing/#python/Python 3.11 to 3.13 with venv}
  named=${named//$'\n'/, }
  if command -v apt-get >/dev/null; then manager='apt-get'; elif command -v dnf >/dev/null; then manager='dnf'; fi
  if ((EUID == 0)); then
    may_install=yes
  elif command -v sudo >/dev/null; then
    become=(sudo)
    if sudo -n true 2>/dev/null; then may_install=yes; fi
  fi
  if [[ ${DEV_INSTALL:-1} == 0 ]]; then may_install=no; fi
  [[ -n $manager ]] || die "missing: $named. Install this with the package manager of this machine, then run this again."

  if [[ $manager == apt-get ]] && ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
    if [[ $may_install == yes ]]; then
      "${become[@]}" apt-get -q update >.cache/packages.log 2>&1 ||
        die "apt-get update failed: $(tail -n 1 .cache/packages.log)"
    else
      update="${become[*]}${become:+ }apt-get update && "
    fi
  fi
  local item packages=() install=(install -y)
  while read -r item; do
    case $manager:$item in
      *:python)
        # Always the first item.
        mapfile -t packages < <(python_packages)
        if ((${#packages[@]} == 0)); then no_python; fi
        ;;
      *:sshd) packages+=(openssh-server) ;;
      apt-get:ssh | apt-get:ssh-keygen) packages+=(openssh-client) ;;
      dnf:ssh | dnf:ssh-keygen) packages+=(openssh-clients) ;;
      *:mksquashfs) packages+=(squashfs-tools) ;;
      *:bwrap) packages+=(bubblewrap) ;;
      *:dot) packages+=(graphviz) ;;
      *:fusermount3) packages+=(fuse3) ;;
      apt-get:qemu-system-x86_64) packages+=(qemu-system-x86) ;;
      apt-get:busybox) packages+=(busybox-static) ;;
      apt-get:dnsmasq) packages+=(dnsmasq-base) ;;
      *:nft) packages+=(nftables) ;;
      apt-get:/usr/lib/ipxe/qemu/*) packages+=(ipxe-qemu) ;;
      apt-get:/usr/lib/ipxe/*) packages+=(ipxe) ;;
      apt-get:/usr/share/OVMF/*) packages+=(ovmf) ;;
      apt-get:nginx) packages+=(nginx-light) ;;
      apt-get:ip | apt-get:tc) packages+=(iproute2) ;;
      dnf:ip) packages+=(iproute) ;;
      dnf:tc) packages+=(iproute-tc) ;;
      *:unshare | *:nsenter) packages+=(util-linux) ;;
      *:systemd-nspawn) packages+=(systemd-container) ;;
      dnf:faketime) packages+=(libfaketime) ;;
      dnf:xdelta3) packages+=(xdelta) ;;
      dnf:shellcheck) packages+=(ShellCheck) ;;
      dnf:git) packages+=(git-core) ;;
      *) packages+=("$item") ;;
    esac
  done <<<"$missing"
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  if [[ $manager == apt-get ]]; then install+=(--no-install-recommends); fi

  if [[ $may_install == no ]]; then
    say "./dev: missing: $named"
    if ((${#become[@]} == 0 && EUID != 0)); then
      say "Install this as root, then run ./dev again:"
    else
      say "Install this, then run ./dev again:"
    fi
    say "  $update${become[*]}${become:+ }$manager ${install[*]} ${packages[*]}"
    exit 1
  fi
  say "Installing ${packages[*]} (missing: $named)"
  if ! install_packages >.cache/packages.log 2>&1; then
    cat .cache/packages.log >&2
    die "$manager could not install ${packages[*]}; its words are above"
  fi
  # The tests start their own OpenSSH servers on loopback. The package's service would open port 22 to everybody.
  if [[ " ${packages[*]} " == *" openssh-server "* && -d /run/systemd/system ]]; then
    "${become[@]}" systemctl disable --now ssh.service ssh.socket sshd.service >>.cache/packages.log 2>&1 || true
    say "The SSH service that comes with openssh-server is turned off: nothing here needs it."
  fi

  # The fault laboratory starts its own web servers, in its own networks; the package's service opens port 80.
  if [[ " ${packages[*]} " == *" nginx"* && -d /run/systemd/system ]]; then
    "${become[@]}" systemctl disable --now nginx.service >>.cache/packages.log 2>&1 || true
    say "The web service that comes with nginx is turned off: nothing here needs it."
  fi

  missing=$(missing_of "$@") || exit 1
  case $missing in
    '') ;;
    *python*) no_python ;;
    *) die "still missing after installing ${packages[*]}: ${missing//$'\n'/, }" ;;
  esac
}

# Uses prepare_machine's $manager, $become, $install and $packages.
install_packages() {
  if [[ $manager == apt-get ]]; then
    local apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
    # Outdated lists name packages that are gone: retry with new ones.
    "${apt[@]}" "${install[@]}" "${packages[@]}" ||
      { "${apt[@]}" update && "${apt[@]}" "${install[@]}" "${packages[@]}"; }
  else
    "${become[@]}" dnf -q "${install[@]}" "${packages[@]}"
  fi
}

# missing_of COMMAND...: those that this machine lacks, one a line (a path stands for a file that is no command); `python` where neither .venv nor a Python that fits is there.
missing_of() {
  local item
  if ! environment_is_ready && ! find_python >/dev/null; then echo python; fi
  for item in "$@"; do
    if [[ $item == /* ]]; then test -e "$item"; else command -v "$item" >/dev/null; fi || printf '%s\n' "$item"
  done
}

# python_packages: the packages that bring a Python that fits, one a line; nothing where this machine has none to offer.
# Uses prepare_machine's $manager and $update.
python_packages() {
  local name version
  # Nothing is known about the packages yet.
  if [[ -n $update ]]; then
    printf '%s\n' python3 python3-venv
    return
  fi
  for name in python3 python3.13 python3.12 python3.11 python3.14; do
    if [[ $manager == apt-get ]]; then
      version=$(apt-cache policy "$name" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
    else
      version=$(dnf -q repoquery --latest-limit=1 --qf '%{version}' "$name" 2>/dev/null || true)
    fi
    if [[ $version =~ ^3\.1[1-4]\. ]]; then
      printf '%s\n' "$name"
      # Debian and its like have venv in a separate package.
      if [[ $manager == apt-get ]]; then printf '%s\n' "$name-venv"; fi
      return
    fi
  done
}

no_python() {
  die "no Python 3.11 to 3.13 with venv and ensurepip here (3.14 will do), and the packages of this machine offer none. Install one
(from a newer release of the system, or with pyenv or uv) and name it: DEV_PYTHON=/path/to/python3.13 ./dev setup"
}

# --- Python and .venv -------------------------------------------------------------------------------------------------

# identity PYTHON: its version and where it lives; fails where it does not run (a shim can be there and fail) or does not fit.
# 3.14 is what the pinned versions support too; the tests do not run on it.
identity() {
  "$1" -c 'import platform, sys
import ensurepip, ssl, venv
if not (3, 11) <= sys.version_info[:2] <= (3, 14): sys.exit(1)
print(platform.python_version(), sys.base_prefix)' 2>/dev/null
}

# find_python: prints the Python to use: DEV_PYTHON, or the first that fits: one of the system before others, since
# distributions build theirs with optimisation by profile (what pyenv compiles by itself takes a third more time), 3.13 first.
find_python() {
  local name path
  if [[ -n ${DEV_PYTHON:-} ]]; then
    if ! identity "$DEV_PYTHON" >/dev/null; then
      die "DEV_PYTHON=$DEV_PYTHON does not run, is not Python 3.11 to 3.14, or has no venv, ensurepip and ssl"
    fi
    command -v "$DEV_PYTHON"
    return
  fi
  local names=(python3.13 python3.12 python3.11 python3.14 python3)
  while read -r path; do
    if [[ $path != "$root"/.venv/* ]] && identity "$path" >/dev/null; then
      printf '%s\n' "$path"
      return
    fi
  done < <(
    printf '/usr/bin/%s\n' "${names[@]}"
    for name in "${names[@]}"; do type -aP "$name"; done
  )
  return 1
}

# stamp PYTHON: what .venv depends on. Scripts in it hold its path, so a checkout that was moved wants a new one.
stamp() {
  local python
  python=$(identity "$1") || return 1
  printf '%s\n' "$root" "$python" "$(sha256sum requirements/dev.txt requirements/uv.txt)"
}

environment_is_ready() {
  [[ -x .venv/bin/python && -r .venv/stamp ]] || return 1
  [[ $(stamp .venv/bin/python) == "$(<.venv/stamp)" ]] || return 1
  [[ -z ${DEV_PYTHON:-} || $(identity "$DEV_PYTHON") == "$(identity .venv/bin/python)" ]]
}

prepare_environment() {
  if environment_is_ready; then return; fi
  local python
  python=$(find_python) || no_python
  say "Setting up .venv with $python ($("$python" -V))"
  rm -rf .venv
  "$python" -m venv .venv || die "$python could not make .venv; its words are above"
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
    die "pip could not install uv from requirements/uv.txt; is a package index reachable?"
  # Compile now: if Python may not write bytecode, or only root may, each start of Ansible would do it again.
  .venv/bin/uv pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt ||
    die "uv could not install requirements/dev.txt; is a package index reachable?"
  stamp .venv/bin/python >.venv/stamp
}

# prepare_tools NAME: the tools in requirements/NAME.txt, in an environment of their own, .cache/NAME/venv.
prepare_tools() {
  local wanted have='' place=.cache/$1
  wanted=$(stamp .venv/bin/python; sha256sum "requirements/$1.txt")
  if [[ -r $place/stamp ]]; then have=$(<"$place/stamp"); fi
  if [[ $have == "$wanted" && -x $place/venv/bin/python ]]; then return; fi
  say "Setting up $place/venv"
  rm -rf "$place/venv" "$place/stamp"
  mkdir -p "$place"
  .venv/bin/python -m venv --without-pip "$place/venv"
  .venv/bin/uv pip sync -q --python "$place/venv/bin/python" --require-hashes "requirements/$1.txt" ||
    die "uv could not install requirements/$1.txt; is a package index reachable?"
  printf '%s\n' "$wanted" >"$place/stamp"
}

# prepare_bench: what the bench alone needs, below .cache/bench: matplotlib, and of the package ansible the one collection
# that is measured beside ours. Without a package index that has them, the bench goes on without.
prepare_bench() {
  local wanted have=''
  wanted=$(stamp .venv/bin/python; sha256sum requirements/bench.txt requirements/bench-peer.txt)
  if [[ -r .cache/bench/stamp ]]; then have=$(<.cache/bench/stamp); fi
  if [[ $have == "$wanted" ]]; then return; fi
  rm -rf .cache/bench/python .cache/bench/peer .cache/bench/stamp
  mkdir -p .cache/bench/peer
  say "Fetching what the bench draws with and compares with, into .cache/bench"
  if .venv/bin/uv pip install -q --python .venv/bin/python --target .cache/bench/python --require-hashes -r requirements/bench.txt &&
    .venv/bin/python -m pip download -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
      -d .cache/bench/peer -r requirements/bench-peer.txt &&
    (cd .cache/bench/peer && ../../../.venv/bin/python -c 'import glob, zipfile
with zipfile.ZipFile(glob.glob("ansible-*.whl")[0]) as wheel:
    wheel.extractall(members=[name for name in wheel.namelist() if name.startswith("ansible_collections/ansible/posix/")])') &&
    rm -f .cache/bench/peer/*.whl; then
    printf '%s\n' "$wanted" >.cache/bench/stamp
  else
    say "Going on without what is missing; the bench says what that is."
  fi
}

# prepare_collections: awx.awx, whose modules set AWX up, and community.general, whose modules send messages, below
# .cache/collections. The package ansible has both.
prepare_collections() {
  local wanted have='' place=.cache/collections
  wanted=$(sha256sum requirements/bench-peer.txt)
  if [[ -r $place/stamp ]]; then have=$(<"$place/stamp"); fi
  if [[ $have == "$wanted" ]]; then return; fi
  rm -rf "$place"
  mkdir -p "$place"
  say "Fetching the collections awx.awx and community.general, into $place"
  if .venv/bin/python -m pip download -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
    -d "$place" -r requirements/bench-peer.txt &&
    (cd "$place" && ../../.venv/bin/python -c 'import glob, zipfile
wanted = tuple(f"ansible_collections/{name}/" for name in ("awx/awx", "community/general"))
with zipfile.ZipFile(glob.glob("ansible-*.whl")[0]) as wheel:
    wheel.extractall(members=[name for name in wheel.namelist() if name.startswith(wanted)])') &&
    rm -f "$place"/*.whl; then
    printf '%s\n' "$wanted" >"$place/stamp"
  else
    say "Going on without them: tests that want one are left out, and the summary names them (SKIPPED)."
  fi
}

# prepare_promtool: Prometheus' promtool, which judges metrics and alert rules. The package also has a server, which would
# be started: so it is not installed, and promtool alone is unpacked, below .cache/promtool.
prepare_promtool() {
  if command -v promtool >/dev/null; then return; fi
  local place=.cache/promtool
  if command -v apt-get >/dev/null && [[ ${DEV_INSTALL:-1} != 0 && ! -x $place/promtool ]]; then
    say "Fetching promtool, into $place"
    rm -rf "$place"
    mkdir -p "$place"
    if (cd "$place" && apt-get -q download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) \
      >.cache/promtool.log 2>&1; then
      mv "$place/usr/bin/promtool" "$place/promtool"
      rm -rf "${place:?}/usr" "$place"/*.deb
    fi
  fi
  if [[ -x $place/promtool ]]; then
    export PATH=$root/$place:$PATH
  else
    say "Going on without promtool: tests that want it are left out, and the summary names them (SKIPPED)."
  fi
}

# prepare_dhcp: ISC dhcpd and Kea, whose examples are tried. Their packages would start servers: so they are not installed,
# but unpacked below .cache/dhcp, with the libraries that are not here.
prepare_dhcp() {
  local place=.cache/dhcp package
  if command -v dhcpd >/dev/null && command -v kea-dhcp4 >/dev/null || [[ -d $place ]]; then return; fi
  if command -v apt-get >/dev/null && [[ ${DEV_INSTALL:-1} != 0 ]]; then
    say "Fetching the DHCP servers of ISC and Kea, into $place"
    rm -rf "$place.new"
    mkdir -p "$place.new/packages/partial"
    if apt-get -q -y --no-install-recommends --download-only -o Debug::NoLocking=true \
      -o "Dir::Cache::archives=$root/$place.new/packages" install isc-dhcp-server kea-dhcp4-server >.cache/dhcp.log 2>&1; then
      for package in "$place.new"/packages/*.deb; do dpkg-deb -x "$package" "$place.new" || return; done
      rm -rf "$place.new/packages"
      mv "$place.new" "$place"
      return
    fi
  fi
  say "Going on without the DHCP servers of ISC and Kea: what wants them is left out, and named."
}

# prepare_browser: a Chromium, if that can be. 100 MB to fetch and 300 MB on the disk: for ./dev short alone.
prepare_browser() {
  local name
  for name in chromium google-chrome chromium-headless-shell; do
    if command -v "$name" >/dev/null; then return; fi
  done
  if command -v apt-get >/dev/null; then welcome chromium-headless-shell; else welcome chromium; fi
}

# prepare_boot: what booting a client needs: QEMU, firmware and iPXE, and a kernel, which is not installed but unpacked below
# .cache/boot. Only where packages are Debian's; fails, in words, where something cannot be had.
prepare_boot() {
  if ! command -v apt-get >/dev/null; then
    say "./dev: clients are booted with the packages of Debian and its like."
    return 1
  fi
  (prepare_machine qemu-system-x86_64 dnsmasq nft cpio busybox /usr/lib/ipxe/undionly.kpxe /usr/lib/ipxe/qemu/efi-virtio.rom \
    /usr/share/OVMF/OVMF_CODE.fd) || return 1
  prepare_dhcp
  if compgen -G '.cache/boot/kernel/boot/vmlinuz-*' >/dev/null; then return; fi
  local name package
  say "Fetching a kernel for the clients, into .cache/boot"
  rm -rf .cache/boot/kernel .cache/boot/*.deb
  mkdir -p .cache/boot/kernel
  name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
  if [[ -z $name ]] || ! (cd .cache/boot && apt-get -q download "$name") >.cache/boot.log 2>&1; then
    say "./dev: no kernel can be had: linux-image-cloud-amd64 is not in the package lists, or could not be fetched."
    return 1
  fi
  for package in .cache/boot/*.deb; do dpkg-deb -x "$package" .cache/boot/kernel && rm -f "$package"; done
}
