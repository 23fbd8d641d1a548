// Requests to the server; addresses are relative to this file, wherever it is mounted.

export const MOST_COLUMNS = 1333;
const MOST_RUNS = 40; // in a request
const MOST_LETTERS = 6000;

const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity };

// JSON has no NaN: the server sends a text.
export const number = (value) => (typeof value === "string" ? NUMBERS[value] : value);

async function get(path) {
  const answer = await fetch(new URL(path, import.meta.url), { cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer;
}

export async function fetchRuns(since) {
  return (await get(since === null ? "data/runs" : `data/runs?since=${since}`)).json();
}

// The envelopes of a tag, by run.
export async function fetchEnvelopes(tag, runs, options) {
  const fixed = new URLSearchParams({ tag, ...options }).toString();
  const envelopes = new Map();
  await Promise.all(
    parts(runs).map(async (part) => {
      const names = part.map((run) => `&run=${encodeURIComponent(run)}`).join("");
      const bytes = await (await get(`data/envelopes?${fixed}${names}`)).arrayBuffer();
      let at = 0;
      for (const run of part) {
        const length = new DataView(bytes, at).getUint32(0, true);
        if (length) envelopes.set(run, envelope(bytes, at + 8));
        at += 8 + length;
      }
    }),
  );
  return envelopes;
}

// Runs for one request each, so that no address is too long.
function parts(runs) {
  const all = [];
  let letters = Infinity;
  for (const run of runs) {
    letters += encodeURIComponent(run).length + 5;
    if (letters > MOST_LETTERS || all.at(-1).length >= MOST_RUNS) {
      all.push([]);
      letters = encodeURIComponent(run).length;
    }
    all.at(-1).push(run);
  }
  return all;
}

function envelope(bytes, at) {
  const count = new DataView(bytes, at).getUint32(0, true);
  const column = (index) => new Float64Array(bytes, at + 8 + index * count * 8, count);
  return {
    count,
    x: column(0),
    low: column(1),
    mean: column(2),
    high: column(3),
    smoothed: column(4),
    points: column(5),
    odd: new Uint8Array(bytes, at + 8 + 6 * count * 8, count), // bits: 1 NaN, 2 inf, 4 -inf
  };
}
