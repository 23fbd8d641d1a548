// What the page shows, and who wants to know when it changes.

const SELECTED_AT_FIRST = 10;

export const state = {
  runs: new Map(), // by name, sorted
  selected: new Set(),
  touched: false, // whether the user has selected runs
  runPattern: null,
  tagPattern: null,
  axis: "step",
  scale: "linear", // or "log" or "trimmed"
  halflife: 0, // in units of x; 0: no smoothing
  linked: true,
  view: null, // the zoom that linked charts share, {from, to, tag}; null: everything
  expanded: null, // the tag of the big chart
  hiddenKinds: new Set(), // of events
  pointer: null, // {tag, values}: what the pointer shows, by run
  dark: false,
  status: { reading: true, failed: false, warnings: [] },
};

const listeners = new Set();
let changed = null;

// Calls back with the set of names that changed, once for all changes made at one time.
export function listen(callback) {
  listeners.add(callback);
}

export function change(values) {
  Object.assign(state, values);
  if (changed === null) {
    changed = new Set();
    queueMicrotask(() => {
      const names = changed;
      changed = null;
      listeners.forEach((callback) => callback(names));
    });
  }
  Object.keys(values).forEach((name) => changed.add(name));
}

const collator = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

let stamp = 0; // grows with every change of a run
let next = 0; // the index of the next new run, for its colour

// Takes an answer of the server: runs that changed, and names that are gone.
export function takeRuns(answer) {
  if (!answer.all && !answer.runs.length && !answer.removed.length) return;
  const before = state.runs;
  const runs = answer.all ? new Map() : new Map(before);
  answer.removed.forEach((name) => runs.delete(name));
  let sorted = true;
  for (const run of answer.runs) {
    sorted &&= before.has(run.name) && !answer.all;
    const tags = new Map(run.tags.map((summary) => [summary.tag, summary]));
    runs.set(run.name, { ...run, tags, stamp: ++stamp });
  }
  const ordered = sorted ? runs : new Map([...runs].sort(([a], [b]) => byName(a, b)));
  for (const run of ordered.values()) run.index = before.get(run.name)?.index ?? next++;
  const selected = new Set([...state.selected].filter((name) => ordered.has(name)));
  if (!state.touched) {
    for (const name of ordered.keys()) if (selected.size < SELECTED_AT_FIRST) selected.add(name);
  }
  change({ runs: ordered, selected });
}

let shown = {};

// The runs that charts show, sorted by name.
export function shownRuns() {
  const { runs, selected, runPattern } = state;
  if (shown.runs !== runs || shown.selected !== selected || shown.runPattern !== runPattern) {
    const list = [...runs.values()].filter(
      ({ name }) => selected.has(name) && (!runPattern || runPattern.test(name)),
    );
    shown = { runs, selected, runPattern, list };
  }
  return shown.list;
}

// The tags of these runs that match the filter.
export function shownTags() {
  const tags = new Set();
  for (const run of shownRuns()) {
    for (const tag of run.tags.keys()) {
      if (!state.tagPattern || state.tagPattern.test(tag)) tags.add(tag);
    }
  }
  return [...tags].sort(byName);
}
