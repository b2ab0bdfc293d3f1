/*
Copyright (c) 2026, the vfio.power authors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
*/
"use strict";
(() => {
  const SEVERITIES = ["drift", "unknown", "excused", "info"];
  const STATUSES = ["as-declared", "drift", "unknown"];
  const STATES = ["asleep", "awake", "in-use", "unknown"];
  const FINE = SEVERITIES.length;
  const PAGE = 100;
  const PAPER = 1000;

  const data = JSON.parse(document.getElementById("data").textContent);
  const text = (number) => data.texts[number];
  const find = (id) => document.getElementById(id);

  // What is shown. Everything else follows from it.
  const chosen = { tab: "devices", query: "", status: "", state: "", code: "", host: "", sort: -1, down: false, rows: PAGE };

  // Rows of both tables, with what they are sorted and searched by.

  const severity = (drift) => drift.reduce((gravest, it) => Math.min(gravest, data.drift[it][1]), FINE);
  const codes = (drift) => drift.map((it) => text(data.drift[it][0]));
  const searchable = (...parts) => parts.join("\n").toLowerCase();

  const devices = data.devices.map((it) => {
    const [host, address, model, rule, mode, standing, state, reached, total, foreign, share, notes, drift] = it;
    const row = { host: data.hosts[host][0], address, model, rule, mode, standing, state, reached, total, foreign, share };
    row.notes = notes;
    row.drift = drift;
    row.grave = severity(drift);
    row.hay = null;
    return row;
  });
  const perHost = new Map();
  data.devices.forEach((it, index) => {
    if (!perHost.has(it[0])) perHost.set(it[0], []);
    perHost.get(it[0]).push(devices[index]);
  });
  const hosts = data.hosts.map((it, index) => {
    const [host, status, states, helper, kernel, idle, drift] = it;
    const own = perHost.get(index) || [];
    const all = [...drift, ...own.flatMap((device) => device.drift)];
    const number = states.reduce((sum, each) => sum + each, 0);
    return { host, status, states, helper, kernel, idle, drift, all, number, grave: severity(all), hay: null };
  });

  const hay = {
    devices: (row) =>
      searchable(text(row.host), text(row.address), text(row.model), text(row.rule), text(row.mode), text(row.standing),
        STATES[row.state], text(row.reached), text(row.notes), ...codes(row.drift)),
    hosts: (row) =>
      searchable(text(row.host), text(row.helper), text(row.kernel), STATUSES[row.status], ...new Set(codes(row.all))),
  };

  // Cells. Texts only ever come in as text, never as markup.

  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const bar = (parts, style, label) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", style);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    let start = 0;
    for (const [name, part] of parts) {
      if (!part) continue;
      const rect = document.createElementNS(SVG, "rect");
      rect.setAttribute("class", name);
      rect.setAttribute("x", `${start}%`);
      rect.setAttribute("width", `${part * 100}%`);
      rect.setAttribute("height", "100%");
      svg.append(rect);
      start += part * 100;
    }
    return svg;
  };
  const badges = (drift) => {
    const kinds = new Map();
    for (const it of drift) kinds.set(text(data.drift[it][0]), data.drift[it][1]);
    const sorted = [...kinds].sort((one, other) => one[1] - other[1]);
    return sorted.map(([code, grave]) => make("span", { class: `badge ${SEVERITIES[grave]}` }, code));
  };
  const unfold = (row) =>
    make("button", { type: "button", class: "unfold", "aria-expanded": "false", "aria-label": `More of ${text(row.address || row.host)}` });
  const dotted = (state, words) => [make("i", { class: `dot ${STATES[state].replace("-", "_")}` }), words];
  const line = (...parts) => make("span", { class: "line" }, ...parts);
  const small = (words) => (words ? [make("small", {}, words)] : []);
  const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`);
  const standing = (row) => ({ drift: "not as declared", unknown: "unknown" })[STATUSES[row.status]] || "as declared";

  const reached = (row) => {
    const words = { asleep: "asleep", awake: "awake", "in-use": "in use by", unknown: "unknown" }[STATES[row.state]];
    const seen = text(row.reached);
    const cell = dotted(row.state, seen && seen !== "?" ? `${words} ${seen}` : words);
    return words === "in use by" ? cell : [line(...cell)];
  };
  const awake = (row) =>
    row.share < 0 ? [] : [line(bar([["awake", row.share]], "bar share", `awake ${percent(row.share)} of the time`), ` ${percent(row.share)}`)];
  const wakes = (row) => (row.total < 0 ? [] : [line(`${row.foreign < 0 ? "?" : row.foreign} of ${row.total}`)]);
  const mixture = (row) => {
    const names = STATES.map((name) => name.replace("-", "_"));
    const parts = row.states.map((number, index) => [names[index], number / row.number]);
    const told = row.states.map((number, index) => (number ? `${number} ${STATES[index].replace("-", " ")}` : "")).filter(Boolean);
    return row.number ? [bar(parts, "bar", told.join(", ")), ...small(told.join(", "))] : [];
  };

  // A column: its title, what it is sorted by (a text or a number), its cell.
  const COLUMNS = {
    devices: [
      ["Host", (row) => row.host, (row) => [unfold(row), make("span", {}, text(row.host))], true],
      ["Device", (row) => row.address, (row) => [make("span", { class: "mono" }, text(row.address)), ...small(text(row.model))], true],
      ["Declared", (row) => row.mode, (row) => (row.mode ? [line(text(row.mode)), ...small(text(row.rule))] : []), true],
      ["Helper", (row) => row.standing, (row) => [text(row.standing)], true],
      ["Reached", (row) => row.state * 1e9 + row.reached, reached, false],
      ["Awake", (row) => row.share, awake, false],
      ["Foreign wakes", (row) => row.foreign, wakes, false],
      ["Drift", (row) => row.grave, (row) => badges(row.drift), false],
    ],
    hosts: [
      ["Host", (row) => row.host, (row) => [unfold(row), make("span", {}, text(row.host))], true],
      ["Stands", (row) => -row.grave, (row) => [make("span", { class: `badge ${["ok", "drift", "unknown"][row.status]}` }, standing(row))], false],
      ["Devices", (row) => row.number, (row) => [row.number || STATUSES[row.status] !== "unknown" ? String(row.number) : "?"], false],
      ["States", (row) => row.states[1] / (row.number || 1), mixture, false],
      ["Helper", (row) => row.helper, (row) => [text(row.helper)], true],
      ["Unopened", (row) => row.idle, (row) => [line(text(row.idle))], true],
      ["Kernel", (row) => row.kernel, (row) => (row.kernel ? [line(text(row.kernel))] : []), true],
      ["Drift", (row) => row.grave, (row) => badges(row.all), false],
    ],
  };
  const ROWS = { devices, hosts };

  // The order of all texts, found once, so that sorting compares numbers.
  let ranks = null;
  const rank = (number) => {
    if (!ranks) {
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      const order = data.texts.map((_, index) => index).sort((one, other) => compare(text(one), text(other)));
      ranks = new Int32Array(order.length);
      order.forEach((index, place) => { ranks[index] = place; });
    }
    return ranks[number];
  };

  // From what is chosen to what is shown.

  const statusFits = (row) => {
    if (!chosen.status) return true;
    if (row.states && STATUSES.includes(chosen.status)) return STATUSES[row.status] === chosen.status;
    if (chosen.status === "as-declared") return row.grave > 1;
    return (row.all || row.drift).some((it) => SEVERITIES[data.drift[it][1]] === chosen.status);
  };
  const stateFits = (row) => {
    if (!chosen.state) return true;
    const wanted = STATES.indexOf(chosen.state);
    return row.states ? row.states[wanted] > 0 : row.state === wanted;
  };
  const hostFits = (row) => !chosen.host || String(row.host) === chosen.host;
  const codeFits = (row) => !chosen.code || codes(row.all || row.drift).includes(chosen.code);
  const words = () => chosen.query.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = () => {
    const wanted = words();
    const queryFits = (row) => {
      if (row.hay === null) row.hay = hay[chosen.tab](row);
      return wanted.every((word) => row.hay.includes(word));
    };
    const found = ROWS[chosen.tab].filter((row) => hostFits(row) && statusFits(row) && stateFits(row) && codeFits(row) && (!wanted.length || queryFits(row)));
    if (chosen.sort < 0) return found.sort((one, other) => one.grave - other.grave);
    const [, key, , isText] = COLUMNS[chosen.tab][chosen.sort];
    const by = isText ? (row) => rank(key(row)) : key;
    return found.sort((one, other) => (chosen.down ? by(other) - by(one) : by(one) - by(other)));
  };

  const table = find("table");
  const [head, body] = [table.tHead, table.tBodies[0]];

  const drawHead = () => {
    const cells = COLUMNS[chosen.tab].map(([title], index) => {
      const cell = make("th", { scope: "col" }, make("button", { type: "button", "data-sort": index }, title));
      if (chosen.sort === index) cell.setAttribute("aria-sort", chosen.down ? "descending" : "ascending");
      return cell;
    });
    head.replaceChildren(make("tr", {}, ...cells));
  };
  const drawRow = (row) => {
    const cells = COLUMNS[chosen.tab].map(([title, , cell], index) => {
      const inside = cell(row).filter((part) => part !== "");
      const made = make("td", { "data-label": title }, make("div", {}, ...inside));
      if (!inside.length) made.className = "empty";
      return made;
    });
    const made = make("tr", { class: "row" }, ...cells);
    made.row = row;
    return made;
  };
  const detailsOf = (row) => {
    const cell = make("td", { colspan: COLUMNS[chosen.tab].length });
    for (const it of row.drift) {
      const [code, , message, hint] = data.drift[it];
      cell.append(make("p", { class: "told" }, text(message) || text(code)));
      if (text(hint)) cell.append(make("p", {}, `→ ${text(hint)}`));
    }
    if (row.notes) cell.append(make("p", {}, text(row.notes)));
    if (row.states && row.number) {
      cell.append(make("p", {}, make("button", { type: "button", class: "show", "data-host": row.host }, "Show its devices")));
    }
    if (!cell.childNodes.length) cell.append(make("p", {}, "Nothing to add."));
    return make("tr", { class: "details" }, cell);
  };

  const draw = () => {
    const found = fitting();
    drawHead();
    body.replaceChildren(...found.slice(0, chosen.rows).map(drawRow));
    const noun = found.length === 1 ? chosen.tab.slice(0, -1) : chosen.tab;
    const all = ROWS[chosen.tab].length;
    const of = found.length === all ? "" : ` of ${all.toLocaleString("en")}`;
    const code = chosen.code ? ` with ${chosen.code}` : "";
    const host = chosen.host && chosen.tab === "devices" ? ` of ${text(chosen.host)}` : "";
    find("shown").textContent = `${found.length.toLocaleString("en")}${of} ${noun}${host}${code}`;
    find("reset").hidden = !(chosen.query || chosen.status || chosen.state || chosen.code || chosen.host);
    const left = found.length - chosen.rows;
    find("more").hidden = left <= 0;
    find("more").textContent = `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
    for (const [id, value] of [["query", chosen.query], ["status", chosen.status], ["state", chosen.state]]) {
      if (find(id).value !== value) find(id).value = value;
    }
    for (const tab of document.querySelectorAll("[data-tab]")) {
      tab.setAttribute("aria-pressed", String(tab.dataset.tab === chosen.tab));
    }
  };
  const choose = (changes) => {
    if (changes.tab && changes.tab !== chosen.tab) chosen.sort = -1;
    Object.assign(chosen, { rows: PAGE }, changes);
    draw();
  };
  const NOTHING = { query: "", status: "", state: "", code: "", host: "" };
  const goTo = (changes) => {
    choose({ ...NOTHING, ...changes });
    find("tables").scrollIntoView();
  };

  const toggle = (line) => {
    const button = line.querySelector(".unfold");
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextElementSibling.remove();
    else line.after(detailsOf(line.row));
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const of = button ? button.dataset : {};
    if (of.tab) choose({ tab: of.tab });
    else if (of.sort) {
      const sort = Number(of.sort);
      choose({ sort, down: chosen.sort === sort && !chosen.down });
    } else if (of.host) goTo({ tab: "devices", host: of.host });
    else if (of.table) goTo({ tab: of.table, status: of.status || "", state: of.state || "", code: of.code || "" });
    else if (button && button.id === "reset") choose(NOTHING);
    else if (button && button.id === "more") choose({ rows: chosen.rows + PAGE });
    else {
      const line = event.target.closest("tr.row");
      if (line && !String(getSelection())) toggle(line);
    }
  });
  let typing = 0;
  find("query").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => choose({ query: event.target.value }), 80);
  });
  for (const id of ["status", "state"]) {
    find(id).addEventListener("change", (event) => choose({ [id]: event.target.value }));
  }

  // On paper: what is chosen, up to a number of rows that somebody might read.
  addEventListener("beforeprint", () => {
    choose({ rows: PAPER });
    for (const details of document.querySelectorAll(".findings details")) details.open = true;
  });
  addEventListener("afterprint", () => choose({}));

  find("tables").hidden = false;
  draw();
})();
