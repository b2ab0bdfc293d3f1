#!/usr/bin/env bash
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The playbook drift: which hosts it fails for, and what it says of each.

set -euo pipefail

if [ -e /var/lib/vfio-power ] || [ -e /usr/local/lib/vfio-power ]; then
    echo 'This host has a helper, or what one stored. Run these targets on a host without one.' >&2
    exit 1
fi

fails() {
    local host=$1 said
    shift
    if said=$(ANSIBLE_NOCOLOR=1 ansible-playbook vfio.power.drift -i inventory.yml -e "vfio_power_hosts=$host" 2>&1); then
        printf '%s\n%s passed\n' "$said" "$host" >&2
        exit 1
    fi
    for words; do
        grep -qF -- "$words" <<<"$said" || {
            printf '%s\nof %s is not said: %s\n' "$said" "$host" "$words" >&2
            exit 1
        }
    done
}

ansible-playbook vfio.power.drift -i inventory.yml -e vfio_power_hosts=as-declared
fails never-there 'never-there could not be reached'
fails lost-on-the-way 'lost-on-the-way could not be reached'
fails without-root 'Without root neither the declaration nor the helper can be seen'
fails other-rules 'would change the rules that are stored here, and no device'
fails too-few "rule 'counted': devices found 0, expected 2. Look at passed_over"
