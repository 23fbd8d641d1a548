// The page: a list of runs at the left, charts and tables at the right. TensorBoard calls render().

import { el } from "./dom.js";
import { makeGrid } from "./grid.js";
import { makeList } from "./list.js";
import { poll } from "./poll.js";
import { listen } from "./state.js";
import { makeTables } from "./table.js";
import { followTheme } from "./theme.js";
import { makeStatus, makeToolbar } from "./toolbar.js";

const HELP =
  "Drag to zoom, Shift-drag to pan, double-click to show everything. " +
  "Ctrl or Alt with the wheel zooms; in a large chart, the wheel alone.";

export async function render() {
  const follow = followTheme();
  await style();
  follow(); // canvases take their colours from the style
  const list = makeList();
  const status = makeStatus();
  const toolbar = makeToolbar();
  const grid = makeGrid();
  const tables = makeTables();
  const brand = el("h1", {}, "fit", el("b", { textContent: "watch" }));
  const side = el(
    "aside",
    {},
    el("div", { className: "brand" }, brand, status.root),
    list.root,
    status.warnings,
    el("p", { className: "hint", textContent: HELP }),
  );
  const content = el("div", { className: "content" }, toolbar.root, grid.root, tables.root);
  const root = el("div", { className: "page" }, side, content);
  document.body.append(root);
  listen((names) => [list, status, toolbar, grid, tables].forEach((part) => part.update(names)));
  poll(root);
  const seen = () => [...grid.cards.values()].filter((card) => card.visible);
  window.fitwatch = { charts: () => seen().map(describe) }; // for tests
}

function describe(card) {
  const view = card.view();
  return { tag: card.tag, from: view?.from, to: view?.to, ready: card.ready };
}

function style() {
  const link = el("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  return new Promise((done) => {
    link.onload = link.onerror = done;
    document.head.append(link);
  });
}
