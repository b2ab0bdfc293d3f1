#!/usr/bin/env bash
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The role report: who is in the report and how each stands, with --limit, in batches, and merged.

set -euo pipefail

wrong() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Runs the playbook with a folder for the report and other words; it may not fail.
report_to() {
    local folder=$1
    shift
    ansible-playbook test.yml -i inventory.yml "$@" \
        -e "{\"vfio_power_report_dest\": \"$folder\", \"vfio_power_report_formats\": [\"html\", \"json\", \"junit\"]}"
}

# Says how the hosts of a report stand: "host1 as-declared, host2 drift".
standing() {
    python3 -c '
import json, sys
with open(sys.argv[1]) as file:
    hosts = json.load(file)["hosts"]
print(", ".join("{} {}".format(host["name"], host["status"]) for host in hosts))
' "$1/report.json"
}

stand() {
    local folder=$1 expected=$2 found
    found=$(standing "$folder")
    [ "$found" = "$expected" ] || wrong "In $folder the hosts stand: $found; expected: $expected"
}

report_to whole
stand whole 'host1 as-declared, host2 drift, host3 unknown, host4 as-declared'
grep -q '<failure type="not-suspended"' whole/junit.xml || wrong 'JUnit has no failure'
grep -q '<error type="unreachable"' whole/junit.xml || wrong 'JUnit has no error'
grep -q '<h1>1 of 4 hosts is not as declared, 1 is unknown</h1>' whole/report.html || wrong 'The page has another verdict'
if grep -q '<script>alert' whole/report.html; then wrong 'A model became a script'; fi

report_to batches -e batches=1
stand batches 'host1 as-declared, host2 drift, host3 unknown, host4 as-declared'

report_to nobody --limit host3
stand nobody 'host3 unknown'

said=$(ANSIBLE_SHOW_CUSTOM_STATS=1 report_to slice1 --limit 'host1,host3' -e vfio_power_report_delegate_to=host4)
# The results below the banner: one for each host that did it.
written=$(awk '/^TASK .* : Write the report of all hosts\]/ {here = 1; next} /^$/ {here = 0} here' <<<"$said")
[ "$(grep -c '^\(ok\|changed\): ' <<<"$written")" -eq 1 ] || wrong "Not written once: $said"
if grep 'changed=[1-9]' <<<"$said"; then wrong 'Writing the report was told as a change'; fi
grep -qF -- '-> host4' <<<"$written" || wrong "Not written by way of host4: $said"
sums=$(awk '/^CUSTOM STATS/ {here = 1} here' <<<"$said")
for words in '"status": "unknown"' "$PWD/slice1/report.json" '"total": 2'; do
    grep -qF -- "$words" <<<"$sums" || wrong "Not among what is left for the next job: $words. $said"
done
stand slice1 'host1 as-declared, host3 unknown'
report_to slice2 --limit 'host2,host4'
ansible-playbook merge.yml
report_to slices --limit 'host2,host4' -e "{\"vfio_power_report_inputs\": [\"$PWD/slice1/report.json\"]}"
stand slices 'host1 as-declared, host2 drift, host3 unknown, host4 as-declared'

said=$(ANSIBLE_SHOW_CUSTOM_STATS=1 report_to checked --check --limit host1 -e '{"vfio_power_report_set_stats": false}')
stand checked 'host1 as-declared'
if grep '^CUSTOM STATS' <<<"$said"; then wrong 'Sums were left though they were not wanted'; fi
