// Ranges of x: of everything, and of a zoom.

const SIMILAR = 0.1; // of the longer range, that two charts must have in common to be linked

// The range of a tag in these runs; null if nothing is there on this axis.
export function fullRange(runs, tag, axis) {
  let from = Infinity;
  let to = -Infinity;
  for (const run of runs) {
    const summary = run.tags.get(tag);
    const [first, last] = axis === "step"
      ? [summary.first_step, summary.last_step]
      : [summary.first_time, summary.last_time];
    const offset = axis === "relative" ? run.start : 0;
    if (first === null || offset === null) continue;
    from = Math.min(from, first - offset, last - offset);
    to = Math.max(to, first - offset, last - offset);
  }
  if (from > to) return null;
  return from < to ? { from, to } : { from: from - 0.5, to: to + 0.5 };
}

// Whether two charts are zoomed together: if their ranges have much in common. Steps of batches and
// of epochs are not the same thing.
export function similar(one, other) {
  const common = Math.min(one.to, other.to) - Math.max(one.from, other.from);
  const longer = Math.max(one.to - one.from, other.to - other.from);
  return common >= SIMILAR * longer;
}

// A zoom, neither narrower than a step nor wider than everything; null for everything.
export function inBounds(from, to, full, axis) {
  const least = axis === "step" ? 2 : 0.01;
  if (to - from < least) {
    const middle = axis === "step" ? Math.round((from + to) / 2) : (from + to) / 2;
    [from, to] = [middle - least / 2, middle + least / 2];
  }
  const span = to - from;
  if (span >= full.to - full.from) return null;
  if (from < full.from) [from, to] = [full.from, full.from + span];
  if (to > full.to) [from, to] = [full.to - span, full.to];
  return { from, to };
}
