// Marks of events (ends of epochs, checkpoints, ...), and the legend that switches kinds.

import { el } from "./dom.js";
import { change, shownRuns, state } from "./state.js";
import { kindColour } from "./theme.js";

const NEAREST = 12; // pixels between marks of one kind on average; denser kinds are left out

export const kindName = (kind) => kind.replaceAll("_", " ");

// Where an event is on the axis; null without times.
function place(event, run, axis) {
  if (axis === "step") return event.step;
  if (axis === "wall") return event.wall_time;
  return run.start === null ? null : event.wall_time - run.start;
}

// Whether the steps of a tag are epochs while those of the run's events are batches.
function countsOtherwise(tag, run) {
  const ofBatches = [...run.tags.keys()].some((other) => other.startsWith("batch_"));
  return ofBatches && tag.startsWith("epoch_");
}

// The marks in a range of a tag's chart, by ascending x: {x, kind, text, run}.
export function marks(tag, runs, axis, from, to, width) {
  const all = [];
  for (const run of runs) {
    if (axis === "step" && countsOtherwise(tag, run)) continue;
    for (const event of run.events) {
      if (state.hiddenKinds.has(event.kind)) continue;
      const x = place(event, run, axis);
      if (x === null || x < from || x > to) continue;
      all.push({ x, kind: event.kind, text: event.text, run });
    }
  }
  const most = Math.max(1, width / NEAREST);
  const counts = new Map();
  for (const mark of all) counts.set(mark.kind, (counts.get(mark.kind) ?? 0) + 1);
  return all.filter((mark) => counts.get(mark.kind) <= most).sort((a, b) => a.x - b.x);
}

export function makeLegend() {
  const legend = el("div", { className: "legend" });
  let shown = "";
  const show = () => {
    const found = shownRuns().flatMap((run) => run.events.map((event) => event.kind));
    const kinds = [...new Set(found)].sort();
    const now = JSON.stringify([kinds, [...state.hiddenKinds], state.dark]);
    if (now === shown) return;
    shown = now;
    legend.hidden = !kinds.length;
    legend.replaceChildren(...kinds.map(chip));
  };
  return { legend, show };
}

function chip(kind) {
  const dash = el("i", {});
  dash.style.background = kindColour(kind);
  const toggle = () => {
    const hiddenKinds = new Set(state.hiddenKinds);
    if (!hiddenKinds.delete(kind)) hiddenKinds.add(kind);
    change({ hiddenKinds });
  };
  const on = !state.hiddenKinds.has(kind);
  const about = { type: "button", "aria-pressed": on, onclick: toggle };
  return el("button", about, dash, kindName(kind));
}
