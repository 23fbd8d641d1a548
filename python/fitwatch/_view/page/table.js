// The tables below the charts: values of each run and tag, and hyperparameters.

import { el } from "./dom.js";
import { exact, integer } from "./format.js";
import { number } from "./net.js";
import { shownRuns, shownTags, state } from "./state.js";
import { runColour } from "./theme.js";

const MOST_ROWS = 300;

const COLUMNS = [
  { head: "Tag", get: ({ tag }) => tag },
  { head: "Run", get: ({ run }) => run.name },
  { head: "At pointer", get: atPointer },
  { head: "Last", get: ({ summary }) => number(summary.last), format: exact },
  { head: "at step", get: ({ summary }) => summary.last_step, format: integer },
  { head: "Lowest", get: ({ summary }) => number(summary.low), format: exact },
  { head: "at step", get: ({ summary }) => summary.low_step, format: optional },
  { head: "Highest", get: ({ summary }) => number(summary.high), format: exact },
  { head: "at step", get: ({ summary }) => summary.high_step, format: optional },
  { head: "Points", get: ({ summary }) => summary.points, format: integer },
];

function atPointer({ tag, run }) {
  return state.pointer?.tag === tag ? (state.pointer.values.get(run.name) ?? "") : "";
}

function optional(step) {
  return step === null ? "" : integer(step);
}

export function makeTables() {
  const values = makeValues();
  const parameters = makeParameters();
  const root = el("footer", {}, values.root, parameters.root);
  const update = (names) => {
    if (["runs", "selected", "runPattern", "tagPattern", "dark"].some((name) => names.has(name))) {
      values.update();
      parameters.update();
    } else if (names.has("pointer")) values.fill();
  };
  return { root, update };
}

function section(title, className, ...rest) {
  const table = el("table", { className });
  const scroll = el("div", { className: "scroll" }, table);
  const summary = el("summary", { textContent: title });
  return { table, root: el("details", { open: true }, summary, scroll, ...rest) };
}

function makeValues() {
  const more = el("p", { className: "hint" });
  const { table, root } = section("Values", "values", more);
  let order = { column: null, down: false };
  let cells = [];
  let shown = "";
  let rows = [];

  const sort = (column) => {
    order = { column, down: order.column === column && !order.down };
    update();
  };

  const update = () => {
    const all = shownTags().flatMap((tag) => {
      const runs = shownRuns().filter((run) => run.tags.has(tag));
      return runs.map((run) => ({ tag, run, summary: run.tags.get(tag) }));
    });
    if (order.column !== null) all.sort(comparison(COLUMNS[order.column].get, order.down));
    rows = all.slice(0, MOST_ROWS);
    root.hidden = !rows.length;
    more.hidden = all.length <= MOST_ROWS;
    more.textContent = `${integer(all.length - MOST_ROWS)} more: narrow the filters`;
    // The same rows keep their elements, so that a text stays selected when a run grows.
    const now = JSON.stringify([order, state.dark, rows.map(({ tag, run }) => [tag, run.name])]);
    if (now !== shown) build();
    shown = now;
    fill();
  };

  const build = () => {
    const heads = COLUMNS.map(({ head }, column) => {
      const arrow = order.column !== column ? "" : order.down ? " ↓" : " ↑";
      const about = { type: "button", textContent: head + arrow, onclick: () => sort(column) };
      return el("th", {}, el("button", about));
    });
    cells = rows.map(({ run }) =>
      COLUMNS.map(({ head }) => el("td", {}, head === "Run" ? dot(run) : null, "")),
    );
    const body = cells.map((line) => el("tr", {}, ...line));
    table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body));
  };

  const fill = () => {
    rows.forEach((row, i) =>
      COLUMNS.forEach(({ get, format }, column) => {
        const text = format ? format(get(row)) : get(row);
        const node = cells[i][column].lastChild;
        if (node.data !== text) node.data = text;
      }),
    );
  };
  return { root, update, fill };
}

function makeParameters() {
  const { table, root } = section("Hyperparameters", "values texts");
  const update = () => {
    const runs = shownRuns().filter((run) => Object.keys(run.hparams).length);
    const names = [...new Set(runs.flatMap((run) => Object.keys(run.hparams)))].sort();
    root.hidden = !names.length;
    const heads = ["Run", ...names].map((textContent) => el("th", { textContent }));
    const body = runs.slice(0, MOST_ROWS).map((run) => {
      const texts = names.map((name) => el("td", { textContent: setting(run.hparams[name]) }));
      return el("tr", {}, el("td", {}, dot(run), run.name), ...texts);
    });
    table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body));
  };
  return { root, update };
}

function dot(run) {
  const made = el("i", { className: "dot" });
  made.style.background = runColour(run);
  return made;
}

function setting(given) {
  if (given === undefined) return "";
  return typeof given === "number" ? exact(given) : String(given);
}

// By a column; values that are missing or NaN stand last, either way.
function comparison(get, down) {
  const missing = (item) => item === null || item === "" || Number.isNaN(item);
  return (a, b) => {
    const [one, other] = [get(a), get(b)];
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    const sign = typeof one === "string" ? one.localeCompare(other) : one - other;
    return down ? -sign : sign;
  };
}
