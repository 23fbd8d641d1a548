// Draws envelopes on a canvas: the band from low to high, the mean or the smoothed mean, and marks.

import { linear, logarithmic, xTicks, yTicks } from "./axes.js";
import { kindColour, ink, runColour } from "./theme.js";

const FONT = "11px system-ui, sans-serif";
const INSET = 3; // so that the first and the last point are not cut

// Draws; returns the scales and the rectangle, for the pointer.
export function draw(context, { width, height, lines, from, to, axis, scale, smooth, marks }) {
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  const log = scale === "log";
  const range = yRange(lines, from, to, scale, smooth);
  const top = 10;
  const bottom = height - 20;
  const ticks = yTicks(range.low, range.high, Math.max(2, (bottom - top) / 30), log);
  const left = Math.ceil(Math.max(28, ...ticks.map((t) => context.measureText(t.text).width))) + 10;
  const plot = { left, right: width - 8, top, bottom };
  const x = linear(from, to, left + INSET, plot.right - INSET);
  const y = (log ? logarithmic : linear)(range.low, range.high, bottom - INSET, top + INSET);

  const room = axis === "step" ? 64 : 90; // pixels for a label
  const across = xTicks(axis, from, to, Math.max(2, (plot.right - left) / room));
  drawAxes(context, plot, x, y, across, ticks);
  context.save();
  context.beginPath();
  context.rect(left, 0, plot.right - left, bottom + 1);
  context.clip();
  drawEvents(context, plot, x, marks);
  const drawn = lines.map((line) => ({ ...line, path: pixels(line.envelope, x, y, from, to) }));
  for (const { path, run } of drawn) drawBand(context, path, runColour(run));
  for (const { path, run } of drawn) drawLine(context, path, runColour(run), smooth);
  for (const { path, run } of drawn) drawOdd(context, path, plot, runColour(run));
  context.restore();
  const inside = ({ envelope }) => envelope.x.some((at) => at >= from && at <= to);
  if (lines.length && !lines.some(inside)) {
    context.fillStyle = ink("muted");
    context.fillText("no points in this range", (left + plot.right) / 2, (top + bottom) / 2 - 6);
  }
  return { plot, x, y };
}

// The range of the values in view. All finite ones are in it, so that a spike of one batch is seen,
// unless the scale is trimmed.
function yRange(lines, from, to, scale, smooth) {
  const log = scale === "log";
  const names = scale === "trimmed" ? ["mean"] : log ? ["low", "mean", "high"] : ["low", "high"];
  if (smooth) names.push("smoothed");
  const usable = (value) => Number.isFinite(value) && !(log && value <= 0);
  const values = (wanted) =>
    lines.flatMap(({ envelope }) =>
      names.flatMap((name) => [
        ...envelope[name].filter((value, i) => usable(value) && wanted(envelope.x[i])),
      ]),
    );
  let found = values((x) => x >= from && x <= to);
  if (!found.length) found = values(() => true);
  if (!found.length) return log ? { low: 0.1, high: 10 } : { low: 0, high: 1 };
  const { low, high } = scale === "trimmed" ? inner(found) : extent(found);
  if (log) {
    const room = Math.max((high / low) ** 0.04, 1.02);
    return { low: low / room, high: high * room };
  }
  const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return { low: low - room, high: high + room };
}

function extent(values) {
  return values.reduce(
    (range, value) => ({ low: Math.min(range.low, value), high: Math.max(range.high, value) }),
    { low: Infinity, high: -Infinity },
  );
}

// The range without the outermost values, with room for spikes to be seen.
function inner(values) {
  values.sort((a, b) => a - b);
  const [low, high] = [0.01, 0.99].map((part) => values[Math.round(part * (values.length - 1))]);
  const room = (high - low) / 8;
  return { low: low - room, high: high + room };
}

function drawAxes(context, plot, x, y, across, up) {
  context.lineWidth = 1;
  context.strokeStyle = ink("grid");
  context.fillStyle = ink("muted");
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.beginPath();
  for (const { at, text } of up) {
    const line = Math.round(y(at)) + 0.5;
    context.moveTo(plot.left, line);
    context.lineTo(plot.right, line);
    context.fillText(text, plot.left - 6, line);
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const { at, text } of across) {
    const line = Math.round(x(at)) + 0.5;
    context.moveTo(line, plot.bottom);
    context.lineTo(line, plot.bottom + 4);
    const half = context.measureText(text).width / 2;
    const middle = Math.min(Math.max(line, half), plot.right + 8 - half);
    context.fillText(text, middle, plot.bottom + 7);
  }
  context.stroke();
}

function drawEvents(context, plot, x, marks) {
  context.lineWidth = 1;
  const drawn = new Set(); // several runs may have a mark in one pixel
  for (const { x: at, kind } of marks) {
    const line = Math.round(x(at)) + 0.5;
    if (drawn.has(kind + line)) continue;
    drawn.add(kind + line);
    context.strokeStyle = context.fillStyle = kindColour(kind);
    context.globalAlpha = kind === "epoch" ? 0.35 : 0.55;
    context.setLineDash(kind === "epoch" ? [2, 3] : []);
    context.beginPath();
    context.moveTo(line, plot.top);
    context.lineTo(line, plot.bottom);
    context.stroke();
    if (kind !== "epoch") context.fillRect(line - 2.5, plot.top - 6, 5, 5);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// The columns as pixels; one more on each side of the view, so that lines reach the edges.
function pixels(envelope, x, y, from, to) {
  let first = 0;
  let last = envelope.count;
  while (first + 1 < last && envelope.x[first + 1] < from) first++;
  while (last - 2 > first && envelope.x[last - 2] > to) last--;
  const path = { x: [], low: [], mean: [], high: [], smoothed: [], odd: [], several: false };
  for (let i = first; i < last; i++) {
    path.x.push(x(envelope.x[i]));
    for (const name of ["low", "mean", "high", "smoothed"]) {
      const value = envelope[name][i];
      path[name].push(Number.isNaN(value) ? NaN : y(value));
    }
    path.odd.push(envelope.odd[i]);
    path.several ||= envelope.points[i] > 1;
  }
  return path;
}

function drawBand(context, path, colour) {
  if (!path.several) return;
  context.fillStyle = colour;
  context.globalAlpha = 0.24;
  for (const [start, stop] of spans(path.low)) {
    context.beginPath();
    for (let i = start; i < stop; i++) context.lineTo(path.x[i], path.high[i]);
    for (let i = stop - 1; i >= start; i--) context.lineTo(path.x[i], path.low[i]);
    context.fill();
  }
  context.globalAlpha = 0.9;
  context.strokeStyle = colour;
  context.lineWidth = 1.25;
  context.beginPath();
  for (const i of standingOut(path.high, -1)) {
    context.moveTo(path.x[i], path.mean[i]);
    context.lineTo(path.x[i], path.high[i]);
  }
  for (const i of standingOut(path.low, 1)) {
    context.moveTo(path.x[i], path.mean[i]);
    context.lineTo(path.x[i], path.low[i]);
  }
  context.stroke();
  context.globalAlpha = 1;
}

// Columns that stick out of an edge of the band, far beyond its usual roughness: drawn as full
// lines, since one batch of thousands would be lost in a pale band.
function standingOut(edge, sign) {
  const steps = [];
  for (let i = 1; i < edge.length; i++) {
    const step = Math.abs(edge[i] - edge[i - 1]);
    if (step >= 0) steps.push(step);
  }
  steps.sort((a, b) => a - b);
  const enough = Math.max(6, 2.5 * (steps[Math.floor(steps.length * 0.9)] ?? 0));
  const beyond = (i, other) => !(sign * (edge[i] - edge[other]) < enough);
  const standsOut = (i) => !Number.isNaN(edge[i]) && beyond(i, i - 1) && beyond(i, i + 1);
  return [...edge.keys()].filter(standsOut);
}

function drawLine(context, path, colour, smooth) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineJoin = context.lineCap = "round";
  context.lineWidth = smooth ? 1 : 1.5;
  context.globalAlpha = smooth ? 0.35 : 1;
  stroke(context, path.x, path.mean);
  context.globalAlpha = 1;
  context.lineWidth = 2;
  if (smooth) stroke(context, path.x, path.smoothed);
  const few = !path.several && path.x.length * 12 < path.x.at(-1) - path.x[0];
  if (!few && path.x.length > 1) return;
  for (let i = 0; i < path.x.length; i++) {
    context.beginPath();
    context.arc(path.x[i], path.mean[i], 2.5, 0, 7);
    context.fill();
  }
}

function stroke(context, xs, ys) {
  context.beginPath();
  for (const [start, stop] of spans(ys)) {
    context.moveTo(xs[start], ys[start]);
    for (let i = start + 1; i < stop; i++) context.lineTo(xs[i], ys[i]);
    if (stop - start === 1) context.lineTo(xs[start] + 0.1, ys[start]); // a dot
  }
  context.stroke();
}

// Where there are numbers: [start, stop) of each stretch without NaN.
function* spans(values) {
  let start = 0;
  for (let i = 0; i <= values.length; i++) {
    if (i < values.length && !Number.isNaN(values[i])) continue;
    if (i > start) yield [start, i];
    start = i + 1;
  }
}

// NaN as crosses at the bottom, infinities as triangles at their edge; not nearer than 5 pixels.
function drawOdd(context, path, plot, colour) {
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = 1.75;
  const last = [-9, -9, -9];
  for (let i = 0; i < path.x.length; i++) {
    for (const bit of [0, 1, 2]) {
      if (!(path.odd[i] & (1 << bit)) || path.x[i] - last[bit] < 5) continue;
      last[bit] = path.x[i];
      context.beginPath();
      if (bit === 0) cross(context, path.x[i], plot.bottom - 5);
      else triangle(context, path.x[i], bit === 1 ? plot.top : plot.bottom, bit === 1 ? 1 : -1);
    }
  }
}

function cross(context, x, y) {
  context.moveTo(x - 3, y - 3);
  context.lineTo(x + 3, y + 3);
  context.moveTo(x - 3, y + 3);
  context.lineTo(x + 3, y - 3);
  context.stroke();
}

function triangle(context, x, y, sign) {
  context.moveTo(x, y);
  context.lineTo(x - 4, y + 7 * sign);
  context.lineTo(x + 4, y + 7 * sign);
  context.fill();
}
