// The tables below the charts: values of each run and tag, and hyperparameters.

import { el } from "./dom.js";
import { exact, integer } from "./format.js";
import { number } from "./net.js";
import { shownRuns, shownTags, state } from "./state.js";
import { runColour } from "./theme.js";

const MOST_ROWS = 300;

const COLUMNS = [
  ["Tag", (row) => row.tag, (text) => text],
  ["Run", (row) => row.run.name, (text) => text],
  ["At pointer", (row) => (state.pointer?.tag === row.tag ? (state.pointer.values.get(row.run.name) ?? "") : ""), (text) => text],
  ["Last", (row) => number(row.summary.last), exact],
  ["at step", (row) => row.summary.last_step, integer],
  ["Lowest", (row) => number(row.summary.low), exact],
  ["at step", (row) => row.summary.low_step, optional],
  ["Highest", (row) => number(row.summary.high), exact],
  ["at step", (row) => row.summary.high_step, optional],
  ["Points", (row) => row.summary.points, integer],
];
const POINTER = 2;

function optional(step) {
  return step === null ? "" : integer(step);
}

export function makeTables() {
  let order = { column: null, down: false };
  const values = el("table", { className: "values" });
  const parameters = el("table", { className: "values texts" });
  const rest = el("p", { className: "hint" });
  const first = el("details", { open: true }, el("summary", { textContent: "Values" }), el("div", { className: "scroll" }, values), rest);
  const second = el("details", { open: true }, el("summary", { textContent: "Hyperparameters" }), el("div", { className: "scroll" }, parameters));
  const root = el("footer", {}, first, second);
  let pointers = []; // [row, cell]

  const sort = (column) => {
    order = { column, down: order.column === column && !order.down };
    showValues();
  };

  const showValues = () => {
    const rows = shownTags().flatMap((tag) =>
      shownRuns().filter((run) => run.tags.has(tag)).map((run) => ({ tag, run, summary: run.tags.get(tag) })),
    );
    if (order.column !== null) rows.sort(comparison(COLUMNS[order.column][1], order.down));
    const shown = rows.slice(0, MOST_ROWS);
    pointers = [];
    const heads = COLUMNS.map(([name], i) => {
      const arrow = order.column === i ? (order.down ? " ↓" : " ↑") : "";
      return el("th", {}, el("button", { type: "button", textContent: name + arrow, onclick: () => sort(i) }));
    });
    const body = shown.map((row) =>
      el("tr", {}, ...COLUMNS.map(([, get, format], i) => {
        const cell = el("td", {}, ...(i === 1 ? [dot(row.run)] : []), format(get(row)));
        if (i === POINTER) pointers.push([row, cell]);
        return cell;
      })),
    );
    values.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body));
    rest.hidden = rows.length <= MOST_ROWS;
    rest.textContent = `${integer(rows.length - MOST_ROWS)} more: narrow the filters`;
    first.hidden = !rows.length;
  };

  const showPointer = () => {
    for (const [row, cell] of pointers) cell.textContent = COLUMNS[POINTER][1](row);
  };

  const showParameters = () => {
    const runs = shownRuns().filter((run) => Object.keys(run.hparams).length).slice(0, MOST_ROWS);
    const names = [...new Set(runs.flatMap((run) => Object.keys(run.hparams)))].sort();
    second.hidden = !names.length;
    const head = el("tr", {}, el("th", { textContent: "Run" }), ...names.map((name) => el("th", { textContent: name })));
    const body = runs.map((run) =>
      el("tr", {}, el("td", {}, dot(run), run.name), ...names.map((name) => el("td", { textContent: setting(run.hparams[name]) }))),
    );
    parameters.replaceChildren(el("thead", {}, head), el("tbody", {}, ...body));
  };

  const update = (names) => {
    if (["runs", "selected", "runPattern", "tagPattern", "dark"].some((name) => names.has(name))) {
      showValues();
      showParameters();
    } else if (names.has("pointer")) showPointer();
  };
  return { root, update };
}

function dot(run) {
  const made = el("i", { className: "dot" });
  made.style.background = runColour(run);
  return made;
}

function setting(given) {
  if (typeof given === "boolean" || given === undefined) return given === undefined ? "" : String(given);
  return typeof given === "number" ? exact(given) : given;
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
