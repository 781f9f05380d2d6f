# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154  # $root comes from ./dev
#
# Sourced by ./dev: all checks, a line for each, with output only if they fail.

lint() {
  set_up git shellcheck
  git rev-parse --git-dir >/dev/null || die "lint needs a git checkout; git's words are above"
  prepare_tools nox
  mkdir -p .cache/lint
  failed=()
  if [[ ${1:-} == --fix ]]; then
    ruff format --quiet .
    ruff check --quiet --fix --exit-zero .
  fi

  # By far the slowest, so it runs in parallel with the others.
  local started=$SECONDS status=0
  check_sanity "" >.cache/lint/sanity.log 2>&1 &
  local sanity=$!

  check ruff ruff check .
  check format ruff format --check .
  check mypy check_types
  check yamllint yamllint --strict .
  check shellcheck check_shell
  check requirements check_requirements
  check generated env PYTHONPATH=.collections python -m scripts.generate --check
  check ansible-lint ansible-lint -q --offline --nocolor
  # Otherwise it would leave a log in the home directory.
  check documentation env HOME="$root/.cache/lint" antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .
  check antsibull-nox check_nox license-check extra-checks
  check package check_package
  wait "$sanity" || status=$?
  report sanity "$status" "$((SECONDS - started))"

  if ((${#failed[@]})); then
    die "failed: ${failed[*]}"
  fi
}

# check NAME COMMAND...: runs it, and reports under this name.
check() {
  local name=$1 status=0 started=$SECONDS
  shift
  "$@" >".cache/lint/$name.log" 2>&1 || status=$?
  report "$name" "$status" "$((SECONDS - started))"
}

# report NAME STATUS SECONDS
report() {
  if (($2 == 0)); then
    printf 'ok    %-14s %3d s\n' "$1" "$3"
  else
    failed+=("$1")
    printf 'FAIL  %-14s %3d s\n' "$1" "$3"
    sed 's/^/      /' ".cache/lint/$1.log"
  fi
}

# The files of the checkout that are not ignored, committed or not, each ended by a NUL.
our_files() {
  local file
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    # A file that was deleted and not yet committed is still in the list.
    if [[ -e $file || -L $file ]]; then printf '%s\0' "$file"; fi
  done
}

# The plugins under the name by which they are imported, the rest as it is.
check_types() {
  mypy .collections/ansible_collections/netboot/syncer/plugins scripts tests molecule
}

# check_nox SESSION...: in one environment for all sessions, whose versions are pinned.
check_nox() (
  # Otherwise the tools would leave logs in the home directory.
  HOME=$root/.cache/nox PATH=$root/.cache/nox/venv/bin:$PATH nox --no-venv --envdir "$root/.cache/nox/sessions" --session "$@"
)

check_shell() {
  local file first scripts=()
  while IFS= read -r -d '' file; do
    if [[ ! -f $file ]]; then continue; fi
    first=''
    IFS= read -r first <"$file" 2>/dev/null || true
    if [[ $file == *.sh || $first =~ ^#!.*[/\ ](ba|da)?sh ]]; then scripts+=("$file"); fi
  done < <(our_files)
  shellcheck -x "${scripts[@]}"
}

# The lock works with any package index: it names none.
check_requirements() {
  ! grep -nE '://|index-url|find-links' requirements/*.txt
}

# The package is all that a user has: it must install, and its playbooks must find in it what they use.
check_package() (
  rm -rf .cache/package
  mkdir -p .cache/package || return 1
  # With its own configuration and path, or the checkout's collection would be found.
  : >.cache/package/ansible.cfg
  export ANSIBLE_CONFIG=$root/.cache/package/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$root/.cache/package/collections
  ansible-galaxy collection build --output-path .cache/package . || return 1
  cd .cache/package || return 1
  ansible-galaxy collection install --offline --no-deps --collections-path collections ./*.tar.gz || return 1
  for playbook in collections/ansible_collections/netboot/syncer/playbooks/*.yml; do
    ansible-playbook --syntax-check --inventory localhost, "netboot.syncer.$(basename "$playbook" .yml)" || return 1
  done
)

# ansible-test requires its collection at a path of this form, and does not follow symlinks to it: so a copy, kept for
# ansible-test's caches. Only for one Python, by default the one that runs it: for others it may find shims that do not
# run. check_sanity [VERSION [ARGS]]
check_sanity() {
  local version=${1:-}
  [[ -n $version ]] || version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  shift || true
  local copy=.cache/sanity/ansible_collections/netboot/syncer
  mkdir -p "$copy"
  find "$copy" -mindepth 1 -maxdepth 1 ! -name tests ! -name .git -exec rm -rf -- {} + || return 1
  find "$copy/tests" -mindepth 1 -maxdepth 1 ! -name output -exec rm -rf -- {} + 2>/dev/null || true
  # Without .collections, which is only for the checkout, and a symlink to a directory, which the symlinks test forbids.
  our_files | grep -zv '^\.collections/' | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$copy" || return 1
  python scripts/get_pip.py --place || return 1
  # Its own repository, or ansible-test asks the outer one, which ignores everything here.
  (cd "$copy" && git init --quiet . && ansible-test sanity --color no --python "$version" "$@")
}
