// The charts, one for each tag; only those in the window are drawn.

import { Card } from "./card.js";
import { el } from "./dom.js";
import { integer } from "./format.js";
import { shownTags, state } from "./state.js";

const MOST_CARDS = 300;
const ARRANGED_BY = ["runs", "selected", "runPattern", "tagPattern", "status"];
const DRAWN_BY = [
  ...["runs", "selected", "runPattern", "axis", "scale", "halflife", "linked", "view"],
  ...["hiddenKinds", "dark", "expanded", "status"],
];

export function makeGrid() {
  const grid = el("div", { className: "grid" });
  const rest = el("p", { className: "hint", hidden: true });
  const root = el("main", {}, grid, rest);
  const cards = new Map();
  const byRoot = new Map();
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const card = byRoot.get(entry.target);
        if (!card) continue;
        card.visible = entry.isIntersecting;
        card.update();
      }
    },
    { rootMargin: "150px" },
  );

  const arrange = () => {
    const tags = shownTags();
    const wanted = new Set(tags.slice(0, MOST_CARDS));
    for (const [tag, card] of cards) {
      if (wanted.has(tag)) continue;
      watcher.unobserve(card.root);
      byRoot.delete(card.root);
      card.root.remove();
      cards.delete(tag);
    }
    let before = null;
    for (const tag of wanted) {
      let card = cards.get(tag);
      if (!card) {
        card = new Card(tag);
        cards.set(tag, card);
        byRoot.set(card.root, card);
        watcher.observe(card.root);
      }
      if (card.root.previousSibling !== before || !card.root.isConnected) {
        before === null ? grid.prepend(card.root) : before.after(card.root);
      }
      before = card.root;
    }
    rest.hidden = tags.length > 0 && tags.length <= MOST_CARDS;
    rest.textContent = tags.length
      ? `${integer(tags.length - MOST_CARDS)} more tags: narrow the filter to see them`
      : nothing();
  };

  const update = (names) => {
    if (ARRANGED_BY.some((name) => names.has(name))) arrange();
    if (names.has("expanded")) {
      cards.forEach((card, tag) => card.root.classList.toggle("wide", tag === state.expanded));
      cards.get(state.expanded)?.root.scrollIntoView({ block: "nearest" });
    }
    if (DRAWN_BY.some((name) => names.has(name))) cards.forEach((card) => card.update());
  };
  return { root, update, cards };
}

function nothing() {
  if (state.status.reading) return "Reading the runs…";
  if (!state.runs.size) return "No runs yet: they appear here when something is recorded.";
  return state.selected.size ? "No tag matches the filters." : "No run is selected.";
}
