# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154  # $root comes from ./dev
#
# Sourced by ./dev: a release, built and checked in a copy of what is committed. The checkout does not change.

# release [VERSION]: the package of a version in .cache/release/VERSION, and what is left to do by hand.
release() {
  local version=${1:-1.0.0} place package
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?$ ]] || die "'$version' is no version, such as 1.0.0"
  set_up git
  prepare_tools release
  place=$root/.cache/release/$version
  package=$place/netboot-syncer-$version.tar.gz
  failed=()
  mkdir -p .cache/lint
  rm -rf -- "$place"
  mkdir -p "$place/tree"
  # An empty configuration: without one, the tools would find the checkout's, and its collection.
  : >"$place/ansible.cfg"
  git archive HEAD | tar -x -C "$place/tree"

  check changelog release_changelog "$place/tree" "$version"
  check reuse env -C "$place/tree" "$root/.cache/release/venv/bin/reuse" lint
  check build ansible-galaxy collection build --output-path "$place" "$place/tree"
  if [[ -f $package ]]; then
    check importer release_importer "$place" "$package"
    check lint-package release_lint "$place" "$package"
    check install release_install "$place" "$package"
  fi
  if ((${#failed[@]})); then die "failed: ${failed[*]}"; fi
  cp "$place/tree/CHANGELOG.md" "$place/CHANGELOG.md"
  release_by_hand "$version" "$package"
}

# release_changelog TREE VERSION: the fragments become the changelog, the description gets the version.
release_changelog() (
  cd -- "$1" || return 1
  sed -i "s/^version: .*/version: $2/" galaxy.yml
  # antsibull-changelog asks git which files there are.
  git init --quiet . && git add --all . || return 1
  antsibull-changelog lint && antsibull-changelog release --version "$2" || return 1
  # The package is built from this directory: no repository in it.
  rm -rf .git
  if compgen -G 'changelogs/fragments/*.yml'; then return 1; fi
)

# release_importer PLACE PACKAGE: Galaxy's own checks; a warning fails as well.
release_importer() (
  cd -- "$1" || return 1
  local tools=$root/.cache/release/venv/bin said=$1/importer.log status=0
  printf '[galaxy-importer]\nrequire_v1_or_greater = True\ncheck_required_tags = True\nansible_local_tmp = %s\n' \
    "$1/ansible-tmp" >importer.cfg
  HOME=$1 PATH=$tools:$PATH ANSIBLE_CONFIG=$1/ansible.cfg GALAXY_IMPORTER_CONFIG=$1/importer.cfg \
    "$tools/python" -m galaxy_importer.main "$2" >"$said" 2>&1 || status=$?
  cat "$said"
  if ((status)) || grep -qE '^(WARNING|ERROR)' "$said"; then return 1; fi
)

# release_lint PLACE PACKAGE: the production profile on what is in the package, with no rule and no file left out.
release_lint() (
  local unpacked=$1/unpacked/ansible_collections/netboot/syncer said=$1/lint.log status=0
  mkdir -p "$unpacked" && tar -xzf "$2" -C "$unpacked" && cd -- "$unpacked" || return 1
  # Its own configuration: the package's excludes what only Galaxy cannot check, and the checkout's is not in it.
  printf -- '---\nprofile: production\n' >"$1/ansible-lint.yml"
  ANSIBLE_CONFIG=$1/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$1/unpacked \
    ansible-lint -q --offline --nocolor --strict --config-file "$1/ansible-lint.yml" --project-dir . >"$said" 2>&1 || status=$?
  cat "$said"
  # If it fails to find an imported playbook, it says so, but succeeds.
  if ((status)) || grep -qE '^(WARNING|ERROR|CRITICAL)' "$said"; then return 1; fi
)

# release_install PLACE PACKAGE: from nothing, with nothing of the checkout.
release_install() (
  mkdir -p "$1/fresh" && cd -- "$1/fresh" || return 1
  export ANSIBLE_CONFIG=$1/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$1/fresh/collections
  ansible-galaxy collection install --offline --no-deps --collections-path collections "$2" || return 1
  local playbook
  for playbook in collections/ansible_collections/netboot/syncer/playbooks/*.yml; do
    ansible-playbook --syntax-check --inventory localhost, "netboot.syncer.$(basename "$playbook" .yml)" || return 1
  done
)

# release_by_hand VERSION PACKAGE
release_by_hand() {
  local version=$1 package=${2#"$root/"} placeholders
  printf '\nBuilt and checked: %s\n  sha256 %s\n\nLeft to do by hand:\n' "$package" "$(sha256sum "$2" | cut -d ' ' -f 1)"
  placeholders=$(grep -cE '^[a-z].*example\.(org|com|net)' maintainers.yml || true)
  if ((placeholders)); then
    say "  - maintainers.yml still has $placeholders placeholders (example.org): say where the project lives, ./dev generate, commit."
  fi
  cat <<END
  - ./dev lint (ansible-test sanity is in it), ./dev short --all, ./dev test and ./dev docs on a clean clone of the commit.
  - Read CHANGELOG.md beside the package. Then in the checkout, with 'version: $version' in galaxy.yml:
      .venv/bin/antsibull-changelog release --version $version
      git add --all && git commit -m 'Release $version' && git tag --sign --message '$version' $version
  - ./dev release $version once more, of the tagged commit. Push the commit and the tag.
  - .venv/bin/ansible-galaxy collection publish $package --token TOKEN
  - Put .cache/docs/html to where 'documentation' in galaxy.yml leads.
END
}
