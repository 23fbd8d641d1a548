// Ticks and scales of both axes.

import { duration, integer, compact, moment, tick } from "./format.js";

// The smallest of 1, 2, 5 times a power of ten that is at least this.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = least / power;
  return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

function multiples(from, to, step, offset = 0) {
  const all = [];
  const first = Math.ceil((from - offset) / step - 1e-9);
  for (let i = first; i * step + offset <= to + step * 1e-9 && all.length < 100; i++) {
    all.push(i * step + offset);
  }
  return all;
}

export function linear(from, to, start, end) {
  const factor = (end - start) / (to - from);
  const scale = (value) => start + (value - from) * factor;
  scale.invert = (pixel) => from + (pixel - start) / factor;
  return scale;
}

// Values that are not positive are below everything.
export function logarithmic(from, to, start, end) {
  const inner = linear(Math.log10(from), Math.log10(to), start, end);
  return (value) => (value > 0 ? inner(Math.log10(value)) : start);
}

export function yTicks(from, to, most, log) {
  const decades = Math.log10(to / from);
  if (log && decades >= 1.5) {
    const step = Math.max(1, Math.ceil(decades / most));
    const powers = multiples(Math.log10(from), Math.log10(to), step);
    return powers.map((power) => ({ at: 10 ** power, text: tick(10 ** power, 10 ** power) }));
  }
  const step = niceStep((to - from) / most);
  return multiples(from, to, step).map((at) => ({ at, text: tick(at, step) }));
}

const SECONDS = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[3600, 7200, 10800, 21600, 43200, 86400],
];
const DAY = 86400;

function timeStep(least) {
  if (least < 1) return niceStep(least);
  return SECONDS.find((step) => step >= least) ?? DAY * niceStep(least / DAY);
}

export function xTicks(axis, from, to, most) {
  const least = (to - from) / most;
  if (axis === "step") {
    const step = Math.max(1, niceStep(least));
    const text = step >= 1000 && to >= 1e5 ? compact : integer;
    return multiples(from, to, step).map((at) => ({ at, text: text(at) }));
  }
  const step = timeStep(least);
  if (axis === "relative") {
    return multiples(from, to, step).map((at) => ({ at, text: duration(at, step) }));
  }
  // So that ticks are whole hours of the local clock.
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const parts = step >= DAY ? "day" : step >= 60 ? "time" : "seconds";
  return multiples(from, to, step, zone % DAY).map((at) => ({ at, text: moment(at, parts) }));
}
