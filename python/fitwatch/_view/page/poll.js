// Asks the server what is new, once a second, while the page can be seen.

import { fetchRuns } from "./net.js";
import { change, takeRuns } from "./state.js";

const PAUSE = 1000;
const PAUSE_WHILE_READING = 250;

export function poll(root) {
  let onScreen = true;
  let timer = null;
  let asking = false;
  let generation = null;

  // The frame of a tab of TensorBoard that is not in front has no height.
  const seen = () => onScreen && innerHeight > 0 && document.visibilityState === "visible";

  const ask = async () => {
    timer = null;
    if (asking || !seen()) return;
    asking = true;
    let pause = PAUSE;
    try {
      const answer = await fetchRuns(generation);
      generation = answer.generation;
      takeRuns(answer);
      if (answer.reading) pause = PAUSE_WHILE_READING;
      report({ reading: answer.reading, failed: false, warnings: answer.warnings });
    } catch {
      report({ reading: false, failed: true, warnings: [] });
    }
    asking = false;
    timer = setTimeout(ask, pause);
  };

  let reported = "";
  const report = (status) => {
    const now = JSON.stringify(status);
    if (now !== reported) change({ status });
    reported = now;
  };

  const wake = () => {
    if (seen() && timer === null) ask();
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("resize", wake);
  new IntersectionObserver(([entry]) => {
    onScreen = entry.isIntersecting;
    wake();
  }).observe(root);
  ask();
}
