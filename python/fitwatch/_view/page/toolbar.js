// The controls of all charts.

import { el, patternField, segments } from "./dom.js";
import { makeLegend } from "./events.js";
import { integer } from "./format.js";
import { change, state } from "./state.js";

const AXES = { step: "Steps", relative: "Relative", wall: "Wall" };
const SCALES = { linear: "Linear", log: "Log", trimmed: "Trimmed" };
// The slider's half-lives: 1, 2, 5, 10, ... 1,000,000.
const HALFLIVES = [0];
for (let power = 1; power <= 1e6; power *= 10) HALFLIVES.push(power, 2 * power, 5 * power);
HALFLIVES.length -= 2;

export function makeToolbar() {
  const tags = patternField("Filter tags (regex)", (tagPattern) => change({ tagPattern }));
  const axis = segments("Axis", AXES, state.axis, (axis) => {
    const sameUnit = (axis === "step") === (state.axis === "step");
    change({ axis, view: null, halflife: sameUnit ? state.halflife : 0 });
  });
  const scale = segments("Scale", SCALES, state.scale, (scale) => change({ scale }));
  scale.group.title = "Trimmed: linear, without the outermost 1% of the means";
  const smoothing = makeSmoothing();
  const link = el("input", {
    type: "checkbox", checked: state.linked,
    onchange: () => change({ linked: link.checked, view: null }),
  });
  const about = { title: "A zoom is for all charts with similar steps" };
  const linked = el("label", about, link, "Link zoom");
  const reset = el("button", {
    type: "button", className: "reset", textContent: "Reset zoom",
    onclick: () => change({ view: null }),
  });
  const parts = [tags, axis.group, scale.group, smoothing.root, linked, reset];
  const { legend, show: showLegend } = makeLegend();
  const controls = el("div", { className: "controls" }, ...parts);
  const root = el("div", { className: "toolbar" }, controls, legend);

  const update = () => {
    axis.show(state.axis);
    scale.show(state.scale);
    smoothing.update();
    reset.style.visibility = state.linked && state.view ? "visible" : "hidden"; // keeps its place
    showLegend();
  };
  return { root, update };
}

function makeSmoothing() {
  const label = el("output", {});
  const slider = el("input", {
    ...{ type: "range", min: 0, max: HALFLIVES.length - 1, step: 1, value: 0 },
    "aria-label": "Smoothing: half-life",
    oninput: () => change({ halflife: HALFLIVES[slider.value] }),
  });
  const about = { className: "smoothing", title: "The half-life of an exponential mean" };
  const root = el("label", about, "Smoothing", slider, label);
  const update = () => {
    slider.value = HALFLIVES.indexOf(state.halflife);
    const unit = state.axis === "step" ? "steps" : "s";
    label.textContent = state.halflife ? `${integer(state.halflife)} ${unit}` : "off";
  };
  return { root, update };
}

const FAILED = ["failed", "no answer from the server"];
const READING = ["reading", "reading…"];
const LIVE = ["live", "live"];

// A line on what the server does.
export function makeStatus() {
  const root = el("p", { className: "status" }, el("i", {}), el("span", {}));
  const warnings = el("ul", { className: "warnings" });
  const update = () => {
    const { reading, failed, warnings: texts } = state.status;
    const [name, text] = failed ? FAILED : reading ? READING : LIVE;
    root.className = `status ${name}`;
    root.lastChild.textContent = text;
    warnings.replaceChildren(...texts.map((text) => el("li", { textContent: text })));
    warnings.hidden = !texts.length;
  };
  return { root, warnings, update };
}
