// Which columns the pointer means.

const SNAP = 5; // pixels

// The index of the number that is nearest to another; the numbers ascend.
export function nearest(numbers, to) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < to) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return 0;
  return low === numbers.length || to - numbers[low - 1] <= numbers[low] - to ? low - 1 : low;
}

// The column of each line that the pointer at pixel (x, y) means: {run, envelope, i, distance}.
export function columnsAt(lines, scale, x, y) {
  const at = snap(lines, scale, x, y);
  return lines
    .filter(({ envelope }) => envelope.count)
    .map(({ run, envelope }) => {
      const i = nearest(envelope.x, at);
      const values = [envelope.low[i], envelope.mean[i], envelope.high[i]];
      const away = Math.min(...values.map((value) => Math.abs(scale.y(value) - y)));
      const across = scale.x(envelope.x[i]) - x;
      return { run, envelope, i, distance: Math.hypot(across, Number.isNaN(away) ? 1e3 : away) };
    });
}

// The x of the column whose band or mark is nearest, so that a spike of one pixel is easy to hit.
function snap(lines, scale, x, y) {
  let best = { at: scale.x.invert(x), distance: Infinity };
  for (const { envelope } of lines) {
    let i = nearest(envelope.x, scale.x.invert(x - SNAP));
    for (; i < envelope.count && scale.x(envelope.x[i]) <= x + SNAP; i++) {
      const across = scale.x(envelope.x[i]) - x;
      const band = Math.max(0, scale.y(envelope.high[i]) - y, y - scale.y(envelope.low[i]));
      const mark = toMark(envelope.odd[i], scale.plot, y);
      const away = Math.min(Number.isNaN(band) ? Infinity : band, mark);
      const distance = Math.hypot(across, away);
      if (Math.abs(across) <= SNAP && distance < best.distance) {
        best = { at: envelope.x[i], distance };
      }
    }
  }
  return best.at;
}

// How far the mark of a value that is not finite is: at the upper or the lower edge.
function toMark(odd, { top, bottom }, y) {
  const up = odd & 2 ? Math.abs(y - top - 4) : Infinity;
  const down = odd & 5 ? Math.abs(bottom - 4 - y) : Infinity;
  return Math.min(up, down);
}
