# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Completion for vfio-powerctl. Addresses are names of folders below /sys: nothing is asked of a
# device, and the helper is not asked either.

_vfio_powerctl_addresses() {
    local path
    for path in /sys/bus/pci/devices/*/vfio-dev; do
        [[ -d $path ]] || continue
        path=${path%/vfio-dev}
        printf '%s\n' "${path##*/}"
    done
}

# Colons end a word of the command line for readline. What readline has before the last colon is
# cut off from the answers, or it would be inserted twice.
_vfio_powerctl_reply() {
    local line typed prefix index
    typed=$1
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -W "$2" -- "$typed")
    [[ $typed == *:* && ${COMP_WORDBREAKS-} == *:* ]] || return 0
    prefix=${typed%"${typed##*:}"}
    for index in "${!COMPREPLY[@]}"; do
        COMPREPLY[index]=${COMPREPLY[index]#"$prefix"}
    done
}

_vfio_powerctl() {
    local typed words last options
    COMPREPLY=()
    # The line up to the cursor, in words that keep their colons.
    read -r -a words <<<"${COMP_LINE:0:COMP_POINT}"
    typed=
    if [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]]; then
        typed=${words[${#words[@]} - 1]}
        unset "words[${#words[@]} - 1]"
    fi
    last=${words[${#words[@]} - 1]}
    if ((${#words[@]} < 2)); then
        _vfio_powerctl_reply "$typed" "list show why watch release reclaim rearm clear pause resume version --help"
        return
    fi
    case $last in
        --holder | --ttl) return ;;
    esac
    case ${words[1]} in
        list) options="--json --check --help" ;;
        show | why) options="--json --check --help" ;;
        release) options="--all --holder --ttl --json --help" ;;
        reclaim) options="--holder --json --help" ;;
        watch) options="--who --json --help" ;;
        rearm | clear | pause | resume | version) options="--json --help" ;;
        *) return ;;
    esac
    case ${words[1]},$typed in
        *,-* | list,* | watch,* | pause,* | resume,* | version,*) _vfio_powerctl_reply "$typed" "$options" ;;
        *) _vfio_powerctl_reply "$typed" "$(_vfio_powerctl_addresses)" ;;
    esac
}

complete -F _vfio_powerctl vfio-powerctl
