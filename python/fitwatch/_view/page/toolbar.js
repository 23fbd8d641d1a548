// The controls of all charts.

import { el, patternField, segments } from "./dom.js";
import { makeLegend } from "./events.js";
import { integer } from "./format.js";
import { change, state } from "./state.js";

// The slider's half-lives: 1, 2, 5, 10, ... 1,000,000.
const HALFLIVES = [0];
for (let power = 1; power <= 1e6; power *= 10) HALFLIVES.push(power, 2 * power, 5 * power);
HALFLIVES.length -= 2;

export function makeToolbar() {
  const tags = patternField("Filter tags (regex)", (tagPattern) => change({ tagPattern }));
  const axis = segments("Axis", { step: "Steps", relative: "Relative", wall: "Wall" }, state.axis, (axis) => {
    const sameUnit = (axis === "step") === (state.axis === "step");
    change({ axis, view: null, halflife: sameUnit ? state.halflife : 0 });
  });
  const scales = { linear: "Linear", log: "Log", trimmed: "Trimmed" };
  const scale = segments("Scale", scales, state.scale, (scale) => change({ scale }));
  scale.group.title = "Trimmed: linear, without the outermost 1% of the means; spikes run over the edge";
  const label = el("output", {});
  const slider = el("input", {
    type: "range", min: 0, max: HALFLIVES.length - 1, step: 1, value: 0, "aria-label": "Smoothing: half-life",
    oninput: () => change({ halflife: HALFLIVES[slider.value] }),
  });
  const smoothing = el("label", { className: "smoothing", title: "The half-life of an exponential mean" }, "Smoothing", slider, label);
  const link = el("input", { type: "checkbox", checked: state.linked, onchange: () => change({ linked: link.checked, view: null }) });
  const linked = el("label", { title: "A zoom is for all charts with similar steps" }, link, "Link zoom");
  const reset = el("button", { type: "button", className: "reset", textContent: "Show everything", onclick: () => change({ view: null }) });
  const { legend, show: showLegend } = makeLegend();
  const controls = el("div", { className: "controls" }, tags, axis.group, scale.group, smoothing, linked, reset);
  const root = el("div", { className: "toolbar" }, controls, legend);

  const update = () => {
    axis.show(state.axis);
    scale.show(state.scale);
    slider.value = HALFLIVES.indexOf(state.halflife);
    label.textContent = state.halflife ? `${integer(state.halflife)} ${state.axis === "step" ? "steps" : "s"}` : "off";
    reset.hidden = !(state.linked && state.view);
    showLegend();
  };
  return { root, update };
}

// A line on what the server does.
export function makeStatus() {
  const root = el("p", { className: "status" }, el("i", {}), el("span", {}));
  const warnings = el("ul", { className: "warnings" });
  const update = () => {
    const { reading, failed, warnings: texts } = state.status;
    root.className = `status ${failed ? "failed" : reading ? "reading" : "live"}`;
    root.lastChild.textContent = failed ? "no answer from the server" : reading ? "reading…" : "live";
    warnings.replaceChildren(...texts.map((text) => el("li", { textContent: text })));
    warnings.hidden = !texts.length;
  };
  return { root, warnings, update };
}
