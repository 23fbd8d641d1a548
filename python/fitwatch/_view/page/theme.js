// Light or dark, as TensorBoard or else the system has it; and colours.

import { change, state } from "./state.js";

// TensorBoard's default palette, in its order: for light and for dark pages.
const PALETTE = [
  ["#425066", "#8e98a3"],
  ["#12b5cb", "#12b5cb"],
  ["#e52592", "#e52592"],
  ["#f9ab00", "#f9ab00"],
  ["#9334e6", "#9334e6"],
  ["#7cb342", "#7cb342"],
  ["#e8710a", "#e8710a"],
];

export const runColour = (run) => PALETTE[run.index % PALETTE.length][state.dark ? 1 : 0];

const KINDS = {
  epoch: ["#9aa3ad", "#6b7580"],
  checkpoint: ["#2a9d5c", "#43c07a"],
  rate_reduction: ["#c77700", "#e6a23c"],
  stop: ["#d0342c", "#f0625a"],
  resume: ["#2f6fd6", "#6ea0f2"],
  validation: ["#7a5bd0", "#a48cf0"],
  spike: ["#d6336c", "#f06595"],
  rollback: ["#8c4a2f", "#c98e6f"],
};

export const kindColour = (kind) => (KINDS[kind] ?? KINDS.epoch)[state.dark ? 1 : 0];

let inks = {};

// A colour of style.css, for a canvas.
export const ink = (name) => inks[name];

export function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const parent = tensorBoard();
  const follow = () => {
    const dark = parent ? parent.classList.contains("dark-mode") : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const style = getComputedStyle(document.documentElement);
    const names = ["panel", "ink", "muted", "grid", "accent"];
    const value = (name) => style.getPropertyValue(`--${name}`).trim();
    inks = Object.fromEntries(names.map((name) => [name, value(name)]));
    change({ dark });
  };
  system.addEventListener("change", follow);
  if (parent) {
    new MutationObserver(follow).observe(parent, { attributes: true, attributeFilter: ["class"] });
  }
  follow();
  return follow;
}

// The body of TensorBoard's page around ours, if there is one.
function tensorBoard() {
  try {
    return window.parent !== window ? window.parent.document.body : null;
  } catch {
    return null; // a notebook, from another address
  }
}
