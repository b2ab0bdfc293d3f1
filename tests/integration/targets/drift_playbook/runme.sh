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
fails too-few "rule 'counted': devices found 0, expected 2. Look for cards that are missing"

# Nightly in a pipeline: one host is well, one drifts, one cannot be reached. All are in the report.
status=0
said=$(ANSIBLE_NOCOLOR=1 ansible-playbook vfio.power.drift -i inventory.yml \
    -e '{"vfio_power_hosts": "as-declared,too-few,never-there", "vfio_power_serial": 1}' \
    -e '{"vfio_power_report_dest": "nightly", "vfio_power_report_formats": ["html", "json", "junit"]}' 2>&1) || status=$?
[ "$status" -eq 2 ] || {
    printf '%s\nended with %s\n' "$said" "$status" >&2
    exit 1
}
for words in 'as-declared .* failed=0 ' 'too-few .* failed=1 ' 'never-there .* failed=1 '; do
    grep -q -- "^$words" <<<"$said" || {
        printf '%s\nthe table does not say: %s\n' "$said" "$words" >&2
        exit 1
    }
done
python3 - <<'PYTHON'
import json
from xml.etree import ElementTree

with open("nightly/report.json") as file:
    report = json.load(file)
standing = {host["name"]: host["status"] for host in report["hosts"]}
expected = {"as-declared": "as-declared", "too-few": "drift", "never-there": "unknown"}
assert standing == expected, standing
suites = ElementTree.parse("nightly/junit.xml").getroot()
assert (suites.get("failures"), suites.get("errors")) == ("1", "1"), suites.attrib
PYTHON
grep -q '<h1>1 of 3 hosts is not as declared, 1 is unknown</h1>' nightly/report.html

# The playbook report has the same to tell and never fails.
ansible-playbook vfio.power.report -i inventory.yml -e vfio_power_hosts=never-there
