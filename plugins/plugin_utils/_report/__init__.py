# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet report, as it is made on the controller. Private to this collection.

Each file imports only from those above it.

    values    one value of an answer: cleaned, shortened, or not known
    codes     what each code of drift is called, and how grave it is
    rows      the fields that a report keeps of a host and of a device
    excerpt   a host's answer, and what is kept of it
    fleet     hosts in, the whole report out: merged, judged, counted
    earlier   reports that other runs have written
    tables    the data that the script of the page draws from
    page      what else the page is given
    render    templates and files
"""
