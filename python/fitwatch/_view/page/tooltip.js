// What the pointer shows: the nearest column of every run, and events beside it.

import { el } from "./dom.js";
import { exact, integer, rounded, x as formatX } from "./format.js";
import { kindName } from "./events.js";
import { kindColour, runColour } from "./theme.js";

const MOST_ROWS = 12;
const REACH = 4; // pixels to an event's line

const box = el("div", { className: "tooltip", role: "status", hidden: true });

// The index of the column that is nearest to x.
export function nearest(xs, at) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && (low === xs.length || at - xs[low - 1] <= xs[low] - at) ? low - 1 : low;
}

// The values of a column as text: the exact one, or a summary.
export function describe(envelope, i) {
  const odd = ["NaN", "∞", "−∞"].filter((_, bit) => envelope.odd[i] & (1 << bit));
  if (envelope.points[i] === 1) return { main: odd[0] ?? exact(envelope.mean[i]), rest: "" };
  const finite = !Number.isNaN(envelope.mean[i]);
  const range = finite ? `${exact(envelope.low[i])} … ${exact(envelope.high[i])}` : "";
  const count = `${integer(envelope.points[i])} points`;
  return {
    main: finite ? rounded(envelope.mean[i]) : odd.join(" "),
    rest: [range, count, finite && odd.length ? `with ${odd.join(", ")}` : ""].filter(Boolean).join(" · "),
  };
}

// Shows the columns `found`, [{run, envelope, i, distance}], at a place in the window.
export function showTooltip({ found, marks, axis, smooth, scale, pointer, place }) {
  const rows = [...found].sort((a, b) => a.distance - b.distance);
  const head = rows[0];
  const same = rows.every(({ envelope, i }) => envelope.x[i] === head.envelope.x[head.i]);
  const table = el("table", {}, ...rows.slice(0, MOST_ROWS).map((row, n) => line(row, n, { axis, smooth, same })));
  const single = head.envelope.points[head.i] === 1;
  const parts = [
    el("div", { className: "at", textContent: `${axis === "step" ? "step " : ""}${formatX(axis, head.envelope.x[head.i], single)}` }),
    table,
  ];
  if (rows.length > MOST_ROWS) parts.push(el("div", { className: "more", textContent: `and ${rows.length - MOST_ROWS} more` }));
  const near = marks.filter((mark) => Math.abs(scale.x(mark.x) - pointer.x) <= REACH);
  parts.push(...together(near).slice(0, 4).map((mark) => eventLine(mark, axis)));
  box.replaceChildren(...parts);
  box.hidden = false;
  if (!box.isConnected) document.body.append(box);
  const { offsetWidth: width, offsetHeight: height } = box;
  const left = place.x + 18 + width > innerWidth ? place.x - width - 18 : place.x + 18;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, Math.min(place.y + 14, innerHeight - height - 6))}px`;
}

export function hideTooltip() {
  box.hidden = true;
}

function line({ run, envelope, i }, n, { axis, smooth, same }) {
  const { main, rest } = describe(envelope, i);
  const dot = el("i", {});
  dot.style.background = runColour(run);
  return el(
    "tr",
    { className: n === 0 ? "first" : "" },
    el("td", {}, dot, el("span", { className: "name", textContent: run.name })),
    el("td", { className: "value", textContent: main }),
    smooth ? el("td", { className: "rest", textContent: `smoothed ${rounded(envelope.smoothed[i])}` }) : null,
    el("td", { className: "rest", textContent: rest }),
    same ? null : el("td", { className: "rest", textContent: `at ${formatX(axis, envelope.x[i], envelope.points[i] === 1)}` }),
  );
}

// The same event of several runs is one line.
function together(marks) {
  const lines = new Map();
  for (const mark of marks) {
    const key = JSON.stringify([mark.kind, mark.text, mark.x]);
    if (lines.has(key)) lines.get(key).runs.push(mark.run.name);
    else lines.set(key, { ...mark, runs: [mark.run.name] });
  }
  return [...lines.values()];
}

function eventLine({ kind, text, runs, x }, axis) {
  const dot = el("i", {});
  dot.style.background = kindColour(kind);
  const name = el("b", { textContent: kindName(kind) });
  return el("div", { className: "event" }, dot, name, ` ${text} · ${runs.join(", ")} at ${formatX(axis, x)}`);
}
