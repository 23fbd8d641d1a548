// Numbers and times as text.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const integer = (value) => whole.format(value);
export const compact = (value) => short.format(value);

// A recorded value, with the digits that tell it from all others: most are float32.
export function exact(number) {
  if (number === null || number === undefined) return "";
  if (!Number.isFinite(number)) return odd(number);
  if (Math.fround(number) !== number) return minus(String(number));
  for (let digits = 1; ; digits++) {
    const shorter = Number(number.toPrecision(digits));
    if (Math.fround(shorter) === number) return minus(String(shorter));
  }
}

// A value that was computed, such as a mean, with five digits.
export function rounded(number) {
  if (!Number.isFinite(number)) return odd(number);
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return minus(trim(number.toExponential(4)));
  return minus(trim(number.toPrecision(5)));
}

const odd = (number) => (Number.isNaN(number) ? "NaN" : number > 0 ? "∞" : "−∞");

const trim = (text) =>
  text.replace(/(\.\d*?)0+(?=$|e)/, "$1").replace(/\.(?=$|e)/, "").replace("e+", "e");
const minus = (text) => text.replace("-", "−");

// A label of an axis whose ticks are `step` apart.
export function tick(number, step) {
  const size = Math.max(Math.abs(number), step);
  if (number === 0) return "0";
  if (size >= 1e6 || size < 1e-4) return minus(trim(number.toExponential(3)));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return minus(number.toFixed(Math.min(digits, 10)));
}

// Seconds as h:mm:ss, with days before and fractions behind where they matter.
export function duration(seconds, step = 1) {
  const sign = seconds < 0 ? "−" : "";
  const digits = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step)));
  const scale = 10 ** digits;
  const all = Math.round(Math.abs(seconds) * scale);
  const rest = Math.floor(all / scale);
  const two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(rest / 86400);
  const hours = Math.floor(rest / 3600) % 24;
  const clock = `${days ? two(hours) : hours}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  const fraction = digits ? `.${String(all % scale).padStart(digits, "0")}` : "";
  return `${sign}${days ? `${days}d ` : ""}${clock}${fraction}`;
}

// A wall time as local date and time; `parts` is what a tick has room for.
export function moment(seconds, parts = "all") {
  const date = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  const full = `${time}:${two(date.getSeconds())}`;
  if (parts === "day") return day;
  if (parts === "time") return time === "00:00" ? day.slice(5) : time;
  if (parts === "seconds") return full;
  return `${day} ${full}`;
}

export function x(axis, at, exact = true) {
  if (axis === "step") return `${exact ? "" : "≈ "}${integer(at)}`;
  return axis === "relative" ? duration(at, exact ? 0.01 : 1) : moment(at);
}
