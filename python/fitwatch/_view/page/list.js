// The list of runs: a filter, and a box for each to show it or not.

import { el, patternField } from "./dom.js";
import { compact, integer } from "./format.js";
import { change, state } from "./state.js";
import { runColour } from "./theme.js";

const MOST_ROWS = 200; // so that thousands of runs do not freeze the page

export function makeList() {
  const count = el("span", { className: "note" });
  const list = el("ul", { className: "runs" });
  const more = el("p", { className: "hint" });
  const field = patternField("Filter runs (regex)", (runPattern) => change({ runPattern }));
  const button = (text, title, names) =>
    el("button", { type: "button", textContent: text, title, onclick: () => select(names()) });
  const all = button("all", "Show all runs that match", () => [...state.selected, ...matching()]);
  const none = button("none", "Show none of the runs that match", () => {
    const gone = new Set(matching());
    return [...state.selected].filter((name) => !gone.has(name));
  });
  const gap = el("span", { className: "gap" });
  const head = el("header", {}, el("h2", { textContent: "Runs" }), count, gap, all, none);
  const root = el("div", { className: "list" }, head, field, list, more);
  let rows = new Map(); // kept, so that a click is not lost when a run grows

  const update = (names) => {
    if (!["runs", "selected", "runPattern", "dark"].some((name) => names.has(name))) return;
    const found = matching();
    const on = found.filter((name) => state.selected.has(name)).length;
    count.textContent = `${integer(on)} of ${integer(found.length)}`;
    const shown = found.slice(0, MOST_ROWS);
    const before = rows;
    rows = new Map(shown.map((name) => [name, before.get(name) ?? makeRow(name)]));
    if (shown.join("\n") !== [...before.keys()].join("\n")) {
      list.replaceChildren(...[...rows.values()].map((row) => row.root));
    }
    rows.forEach((row) => row.update());
    more.hidden = found.length <= MOST_ROWS;
    more.textContent = `${integer(found.length - MOST_ROWS)} more match: narrow the filter`;
  };
  return { root, update };
}

function matching() {
  const pattern = state.runPattern;
  return [...state.runs.keys()].filter((name) => !pattern || pattern.test(name));
}

function select(names) {
  change({ selected: new Set(names), touched: true });
}

function makeRow(name) {
  const toggle = () => {
    const selected = new Set(state.selected);
    if (!selected.delete(name)) selected.add(name);
    select(selected);
  };
  const box = el("input", { type: "checkbox", onchange: toggle });
  const label = el("span", { className: "name", textContent: name });
  const only = el("button", {
    type: "button", className: "only", textContent: "only", title: "Show this run only",
    onclick: () => select([name]),
  });
  const note = el("span", { className: "note" });
  const root = el("li", {}, el("label", { title: name }, box, label), only, note);
  const update = () => {
    const run = state.runs.get(name);
    const last = Math.max(0, ...[...run.tags.values()].map((summary) => summary.last_step));
    box.checked = state.selected.has(name);
    box.style.setProperty("--colour", runColour(run));
    note.textContent = compact(last);
    note.title = `last step ${integer(last)}`;
  };
  return { root, update };
}
