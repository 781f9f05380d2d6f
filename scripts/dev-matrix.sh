# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2030,SC2031,SC2154  # PATH is for one check each; $root comes from ./dev
#
# Sourced by ./dev: each supported ansible-core, on each Python that it supports and that this machine has.

# The oldest on its oldest Python, and the newest on its newest, come first: --ends runs only these two. --short runs the
# newest without its sanity tests, and the oldest Python of a netboot server: on the oldest, the other commands run.
matrix_pairs=('2.19 3.11' '2.21 3.13' '2.19 3.12' '2.19 3.13' '2.20 3.12' '2.20 3.13' '2.21 3.12')
# The Pythons that a netboot server may have.
matrix_targets=(3.9 3.10 3.11 3.12 3.13)

matrix() {
  local pair core version python pairs=("${matrix_pairs[@]}") targets=("${matrix_targets[@]}") skipped=() sanity=yes
  case ${1:-} in
    '') ;;
    --ends) pairs=("${matrix_pairs[@]:0:2}") ;;
    --short) pairs=("${matrix_pairs[1]}") targets=("${matrix_targets[0]}") sanity= ;;
    [0-9]*)
      pairs=()
      for pair in "${matrix_pairs[@]}"; do if [[ $pair == "$1 ${2:-}"* ]]; then pairs+=("$pair"); fi; done
      ((${#pairs[@]})) || die "the matrix has no ansible-core $1${2:+ on Python $2}"
      ;;
    *) die "usage: ./dev matrix [--ends | --short | ANSIBLE_CORE [PYTHON]]" ;;
  esac
  set_up git rsync ssh ssh-keygen sshd mksquashfs shellcheck
  git rev-parse --git-dir >/dev/null || die "the matrix needs a git checkout; git's words are above"
  mkdir -p .cache/lint
  failed=()
  for pair in "${pairs[@]}"; do
    read -r core version <<<"$pair"
    if python=$(real_python "$version"); then
      matrix_one "$core" "$version" "$python"
    else
      skipped+=("ansible-core $core on Python $version")
    fi
  done
  check_targets
  if ((${#skipped[@]})); then
    say "Left out, since this machine lacks the Python:"
    printf '  %s\n' "${skipped[@]}" >&2
  fi
  if ((${#failed[@]})); then
    die "failed: ${failed[*]}"
  fi
}

# real_python VERSION: where it is; on the PATH there may be shims of pyenv that do not run.
real_python() {
  local path
  while read -r path; do
    if "$path" -c 'import venv' 2>/dev/null; then
      printf '%s\n' "$path"
      return
    fi
  done < <(
    type -aP "python$1"
    compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1.*/bin/python$1" || true
  )
  return 1
}

# matrix_one ANSIBLE_CORE VERSION PYTHON
matrix_one() {
  local place=$root/.cache/matrix/$1-$2 wanted
  wanted=$(
    "$3" -c 'import sys; print(sys.version)'
    sha256sum "requirements/core-$1.txt"
  )
  if [[ ! -r $place/stamp || $(<"$place/stamp") != "$wanted" ]]; then
    rm -rf "$place"
    if ! "$3" -m venv --without-pip "$place" ||
      ! .venv/bin/uv pip sync -q --compile-bytecode --python "$place/bin/python" --require-hashes "requirements/core-$1.txt"; then
      die "the environment of ansible-core $1 on Python $2 could not be made; uv's words are above"
    fi
    printf '%s\n' "$wanted" >"$place/stamp"
  fi
  # One after the other: ansible-test keeps environments for each Python, and creates them only once.
  if [[ $sanity ]]; then check "$1-py$2-sanity" sanity_of "$place" "$2"; fi
  check "$1-py$2-units" units_of "$place"
  check "$1-py$2-syntax" syntax_of "$place"
}

sanity_of() (
  export PATH=$1/bin:$PATH
  check_sanity "$2"
)

# Its own pytest, with the checkout's settings.
units_of() (
  export PATH=$1/bin:$PATH
  python -m pytest -q -p no:cacheprovider --numprocesses=auto --dist=loadfile tests/unit
)

# The package, as a user installs it, and its playbooks.
syntax_of() (
  export PATH=$1/bin:$PATH
  check_package
)

# The code that runs on the netboot server, on each Python that it may have: ansible-test imports and compiles it.
check_targets() {
  local version python found=() place=$root/.cache/matrix/targets
  mkdir -p "$place"
  find "$place" -type l -delete
  for version in "${targets[@]}"; do
    if python=$(real_python "$version"); then
      ln -s "$python" "$place/python$version"
      found+=("$version")
    else
      say "Left out, since this machine lacks it: Python $version on the netboot server"
    fi
  done
  for version in "${found[@]}"; do check "target-py$version" import_on "$version"; done
}

import_on() (
  export PATH=$root/.cache/matrix/targets:$PATH
  check_sanity "$1" --test import --test compile
)
