#!/bin/sh
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# For Debian's live-boot: a second address for the squashfs, and its hash. Put this file into /lib/live/boot/ of the image
# that the initrd is made of, and make the initrd anew (update-initramfs -u). live-boot fetches by `wget URL -O FILE`; as
# it reads all of /lib/live/boot/ first, the function below is what it then calls.
#
# Kernel arguments:
#   netboot_fallback=URL   where to go when the first address fails; may be there several times
#   netboot_sha256=HASH    what the file must hash to; one that does not counts as failed
#   netboot_stall=SECONDS  how long a server may send nothing; 30 where it is not said

# shellcheck disable=SC2012  # nothing is cheaper here, and the name is ours
# shellcheck disable=SC3043  # the shell of an initrd is busybox's, which knows local
# shellcheck disable=SC2013  # words are meant

wget ()
{
	local from into tried word want stall

	# live-boot's own call, and nothing else
	if [ "${#}" -ne 3 ] || [ "${2}" != "-O" ]
	then
		command wget "${@}"
		return ${?}
	fi

	from="${1}"
	into="${3}"
	want=""
	stall=30

	for word in $(cat /proc/cmdline)
	do
		case "${word}" in
			netboot_fallback=*) from="${from} ${word#netboot_fallback=}" ;;
			netboot_sha256=*) want="${word#netboot_sha256=}" ;;
			netboot_stall=*) stall="${word#netboot_stall=}" ;;
		esac
	done

	tried=" "
	for word in ${from}
	do
		case "${tried}" in
			*" ${word} "*) continue ;;
		esac
		tried="${tried}${word} "

		echo "netboot: fetching ${word}"
		if netboot_fetch "${word}" "${into}" "${stall}" && netboot_is_whole "${into}" "${want}"
		then
			echo "netboot: fetched ${word}"
			return 0
		fi
		echo "netboot: ${word} failed"
		rm -f "${into}"
	done

	return 1
}

# Debian 12's busybox has no -T that works, so this watches the file grow.
netboot_fetch ()
{
	local pid size before idle

	command wget "${1}" -O "${2}" &
	pid=${!}
	before=-1
	idle=0

	while kill -0 "${pid}" 2>/dev/null
	do
		sleep 1
		size="$(ls -ln "${2}" 2>/dev/null | { read -r _ _ _ _ size _; echo "${size}"; })"
		if [ "${size}" = "${before}" ]
		then
			idle=$((idle + 1))
		else
			idle=0
		fi
		before="${size}"
		if [ "${idle}" -ge "${3}" ]
		then
			echo "netboot: nothing came for ${3} seconds"
			kill "${pid}" 2>/dev/null
		fi
	done

	wait "${pid}"
}

netboot_is_whole ()
{
	local found

	if [ ! -s "${1}" ]
	then
		return 1
	fi
	if [ -z "${2}" ]
	then
		return 0
	fi

	found="$(sha256sum "${1}")"
	if [ "${found%% *}" != "${2}" ]
	then
		echo "netboot: the file has not the hash that netboot_sha256 states"
		return 1
	fi
}
