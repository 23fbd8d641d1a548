// The chart of one tag: asks for its envelopes, draws them, and follows the pointer.

import { draw } from "./chart.js";
import { el } from "./dom.js";
import { marks } from "./events.js";
import { compact, integer } from "./format.js";
import { columnsAt } from "./nearest.js";
import { fetchEnvelopes, MOST_COLUMNS } from "./net.js";
import { attach } from "./pointer.js";
import { change, shownRuns, state } from "./state.js";
import { ink, runColour } from "./theme.js";
import { describe, hideTooltip, showTooltip } from "./tooltip.js";
import { fullRange, inBounds, similar } from "./views.js";

const DEBOUNCE = 30; // milliseconds before a range is asked for
const MARGIN = 0.05; // of the view, on each side, so that lines go on beyond the edges

export class Card {
  constructor(tag) {
    this.tag = tag;
    this.visible = false;
    this.envelopes = new Map();
    this.own = null; // the zoom, where charts are not linked
    this.loaded = this.loading = null;
    this.note = el("span", { className: "note" });
    const title = el("button", {
      type: "button", className: "title", textContent: tag, title: `${tag}: large or small`,
      onclick: () => change({ expanded: state.expanded === tag ? null : tag }),
    });
    this.canvas = el("canvas");
    this.overlay = el("canvas", { className: "overlay" });
    this.plot = el("div", { className: "plot" }, this.canvas, this.overlay);
    this.root = el("section", { className: "card" }, el("header", {}, title, this.note), this.plot);
    attach(this.overlay, {
      scale: () => this.scale,
      view: () => this.view(),
      zoom: (from, to) => this.zoom(from, to),
      showAll: () => this.setView(null),
      hover: (x, y) => this.hover(x, y),
      leave: () => this.leave(),
      select: (from, to) => this.select(from, to),
      wheelZooms: (event) => {
        // Over small charts the plain wheel scrolls the page.
        return event.ctrlKey || event.altKey || event.metaKey || state.expanded === tag;
      },
    });
    new ResizeObserver(() => this.update()).observe(this.plot);
  }

  runs(tag = this.tag) {
    return shownRuns().filter((run) => run.tags.has(tag));
  }

  full(tag = this.tag) {
    return fullRange(this.runs(tag), tag, state.axis);
  }

  // The range that is shown: everything, or the zoom.
  view() {
    const full = this.full();
    const zoom = state.linked ? state.view : this.own;
    return zoom && full && this.follows(zoom, full) ? zoom : full;
  }

  follows(zoom, full) {
    if (zoom.tag === this.tag || state.axis !== "step") return true;
    const other = this.full(zoom.tag);
    return other === null || similar(full, other);
  }

  zoom(from, to) {
    const full = this.full();
    if (!full) return;
    const view = inBounds(from, to, full, state.axis);
    this.setView(view && { ...view, tag: this.tag });
  }

  setView(view) {
    if (state.linked) return change({ view });
    this.own = view;
    this.update();
  }

  // Draws what is there, and asks for what is missing.
  update() {
    if (!this.visible) return;
    this.redraw();
    if (this.wanted()?.key === this.loaded || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.load();
    }, DEBOUNCE);
  }

  get ready() {
    return this.visible && this.loaded !== null && this.wanted()?.key === this.loaded;
  }

  wanted() {
    const view = this.view();
    const width = this.plot.clientWidth;
    if (!view || !width) return null;
    const runs = this.runs();
    const margin = view.tag !== undefined ? (view.to - view.from) * MARGIN : 0;
    const pixels = width * devicePixelRatio * (margin ? 1 + 2 * MARGIN : 1);
    const columns = Math.min(MOST_COLUMNS, Math.ceil(pixels));
    const options = { axis: state.axis, from: view.from - margin, to: view.to + margin, columns };
    if (state.halflife > 0) options.halflife = state.halflife;
    const key = JSON.stringify([options, runs.map((run) => [run.name, run.stamp])]);
    return { key, options, runs: runs.map((run) => run.name), axis: state.axis };
  }

  async load() {
    const wanted = this.wanted();
    if (!wanted || this.loading) return; // the load under way looks again when it ends
    this.loading = wanted.key;
    try {
      const envelopes = await fetchEnvelopes(this.tag, wanted.runs, wanted.options);
      this.envelopes = envelopes;
      this.axis = wanted.axis;
      this.loaded = wanted.key;
    } catch {
      this.loaded = null; // the poll reports it, and leads to the next try
    } finally {
      this.loading = null;
    }
    if (this.loaded === wanted.key) this.update();
  }

  redraw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !height) return;
    const runs = this.runs();
    const points = runs.reduce((sum, run) => sum + run.tags.get(this.tag).points, 0);
    this.note.textContent = `${compact(points)} point${points === 1 ? "" : "s"}`;
    this.note.title = integer(points);
    const context = fit(this.canvas, width, height);
    fit(this.overlay, width, height);
    const view = this.view();
    this.plot.classList.toggle("empty", !view);
    if (!view) {
      this.scale = null;
      return;
    }
    // What was loaded for another axis is of no use.
    const there = runs.filter(({ name }) => this.axis === state.axis && this.envelopes.has(name));
    const lines = there.map((run) => ({ run, envelope: this.envelopes.get(run.name) }));
    this.lines = lines;
    this.marks = marks(this.tag, runs, state.axis, view.from, view.to, width);
    this.scale = draw(context, {
      width, height, lines, from: view.from, to: view.to, axis: state.axis, scale: state.scale,
      smooth: state.halflife > 0, marks: this.marks,
    });
    if (this.at) this.hover(this.at.x, this.at.y);
  }

  hover(x, y) {
    const { plot } = this.scale;
    if (x < plot.left - 6 || x > plot.right + 6) return this.leave();
    const found = columnsAt(this.lines, this.scale, x, y);
    if (!found.length) return this.leave();
    this.at = { x, y };
    this.drawPointer(found);
    const box = this.overlay.getBoundingClientRect();
    showTooltip({
      found, marks: this.marks, axis: state.axis, smooth: state.halflife > 0, scale: this.scale,
      pointer: { x, y }, place: { x: box.left + x, y: box.top + y },
    });
    const values = found.map(({ run, envelope, i }) => [run.name, describe(envelope, i).main]);
    change({ pointer: { tag: this.tag, values: new Map(values) } });
  }

  leave() {
    if (!this.at) return;
    this.at = null;
    hideTooltip();
    this.select(null);
    change({ pointer: null });
  }

  drawPointer(found) {
    const context = fit(this.overlay, this.plot.clientWidth, this.plot.clientHeight);
    const { plot, x: scaleX, y: scaleY } = this.scale;
    const meant = found.reduce((one, other) => (other.distance < one.distance ? other : one));
    const line = Math.round(scaleX(meant.envelope.x[meant.i])) + 0.5;
    context.strokeStyle = ink("muted");
    context.globalAlpha = 0.6;
    context.beginPath();
    context.moveTo(line, plot.top);
    context.lineTo(line, plot.bottom);
    context.stroke();
    context.globalAlpha = 1;
    context.strokeStyle = ink("panel");
    context.lineWidth = 1.5;
    for (const { run, envelope, i } of found) {
      if (Number.isNaN(envelope.mean[i])) continue;
      context.fillStyle = runColour(run);
      context.beginPath();
      context.arc(scaleX(envelope.x[i]), scaleY(envelope.mean[i]), 4, 0, 7);
      context.fill();
      context.stroke();
    }
  }

  // The range that a drag selects, in pixels; null for none.
  select(from, to) {
    const context = fit(this.overlay, this.plot.clientWidth, this.plot.clientHeight);
    if (from === null) return;
    const { top, bottom } = this.scale.plot;
    context.fillStyle = ink("accent");
    context.globalAlpha = 0.15;
    context.fillRect(from, top, to - from, bottom - top);
  }
}

// Sizes a canvas for the screen, and clears it.
function fit(canvas, width, height) {
  const wide = Math.round(width * devicePixelRatio);
  const high = Math.round(height * devicePixelRatio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
