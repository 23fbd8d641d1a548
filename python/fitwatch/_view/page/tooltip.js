// What the pointer shows: the nearest column of every run, and events beside it.

import { el } from "./dom.js";
import { exact, integer, rounded, x as formatX } from "./format.js";
import { kindName } from "./events.js";
import { kindColour, runColour } from "./theme.js";

const MOST_ROWS = 12;
const CLOSE = 2; // pixels
const REACH = 4; // pixels to an event's line

const box = el("div", { className: "tooltip", role: "status", hidden: true });

// The values of a column as text: the exact one, or a summary.
export function describe(envelope, i) {
  const odd = ["NaN", "∞", "−∞"].filter((_, bit) => envelope.odd[i] & (1 << bit));
  if (envelope.points[i] === 1) return { main: odd[0] ?? exact(envelope.mean[i]), rest: "" };
  const finite = !Number.isNaN(envelope.mean[i]);
  const range = finite ? `${exact(envelope.low[i])} … ${exact(envelope.high[i])}` : "";
  const count = `${integer(envelope.points[i])} points`;
  return {
    main: finite ? rounded(envelope.mean[i]) : odd.join(" "),
    rest: [range, count, finite && odd.length ? `with ${odd.join(", ")}` : ""]
      .filter(Boolean)
      .join(" · "),
  };
}

// Shows the columns `found`, [{run, envelope, i, distance}], at a place in the window.
export function showTooltip({ found, marks, axis, smooth, scale, pointer, place }) {
  const rows = [...found].sort((a, b) => a.distance - b.distance);
  const head = rows[0];
  const same = rows.every((row) => coincide(row, head, scale));
  const shown = rows.slice(0, MOST_ROWS).map((row, n) => line(row, n, { axis, smooth, same }));
  const at = `${axis === "step" ? "step " : ""}${where(axis, head)}`;
  const parts = [el("div", { className: "at", textContent: at }), el("table", {}, ...shown)];
  if (rows.length > MOST_ROWS) {
    const more = `and ${rows.length - MOST_ROWS} more`;
    parts.push(el("div", { className: "more", textContent: more }));
  }
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

// Single points at the same x, or columns in about the same pixel.
function coincide(one, other, scale) {
  const [a, b] = [one, other].map(({ envelope, i }) => envelope.x[i]);
  const single = [one, other].every(({ envelope, i }) => envelope.points[i] === 1);
  return single ? a === b : Math.abs(scale.x(a) - scale.x(b)) <= CLOSE;
}

function where(axis, { envelope, i }) {
  return formatX(axis, envelope.x[i], envelope.points[i] === 1);
}

function line(row, n, { axis, smooth, same }) {
  const { run, envelope, i } = row;
  const note = (textContent) => el("td", { className: "rest", textContent });
  const { main, rest } = describe(envelope, i);
  const dot = el("i", {});
  dot.style.background = runColour(run);
  return el(
    "tr",
    { className: n === 0 ? "first" : "" },
    el("td", {}, dot, el("span", { className: "name", textContent: run.name })),
    el("td", { className: "value", textContent: main }),
    smooth ? note(`smoothed ${rounded(envelope.smoothed[i])}`) : null,
    note(rest),
    same ? null : note(`at ${where(axis, row)}`),
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
  const rest = ` ${text} · ${runs.join(", ")} at ${formatX(axis, x)}`;
  return el("div", { className: "event" }, dot, name, rest);
}
