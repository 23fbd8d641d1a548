// The mouse on a chart: a drag selects a range, with Shift it pans; the wheel zooms; a double click
// shows everything; a move shows values.

const CLICK = 4; // pixels that a drag has to be longer than

// `chart` has scale() (null before the first drawing), view(), zoom(from, to), showAll(),
// hover(x, y) and leave(), select(from, to) in pixels or null, and wheelZooms(event).
export function attach(surface, chart) {
  let drag = null;
  const inside = (event) => {
    const box = surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const clamp = (x) => {
    const { left, right } = chart.scale().plot;
    return Math.min(Math.max(x, left), right);
  };

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !chart.scale()) return;
    surface.setPointerCapture(event.pointerId);
    const [view, scale] = [chart.view(), chart.scale()];
    drag = { x: clamp(inside(event).x), pan: event.shiftKey, view, scale };
    event.preventDefault();
  });

  surface.addEventListener("pointermove", (event) => {
    if (!chart.scale()) return;
    const at = inside(event);
    if (!drag) return chart.hover(at.x, at.y);
    if (drag.pan) {
      const moved = drag.scale.x.invert(drag.x) - drag.scale.x.invert(at.x);
      chart.zoom(drag.view.from + moved, drag.view.to + moved);
    } else {
      chart.leave();
      chart.select(drag.x, clamp(at.x));
    }
  });

  const end = (event) => {
    if (!drag) return;
    const { x, pan } = drag;
    drag = null;
    chart.select(null);
    const to = clamp(inside(event).x);
    if (pan || event.type === "pointercancel" || Math.abs(to - x) < CLICK) return;
    const scale = chart.scale().x;
    chart.zoom(scale.invert(Math.min(x, to)), scale.invert(Math.max(x, to)));
  };
  surface.addEventListener("pointerup", end);
  surface.addEventListener("pointercancel", end);
  surface.addEventListener("pointerleave", () => drag || chart.leave());
  surface.addEventListener("dblclick", () => chart.showAll());

  surface.addEventListener(
    "wheel",
    (event) => {
      if (!chart.scale() || !chart.wheelZooms(event)) return;
      event.preventDefault();
      const middle = chart.scale().x.invert(clamp(inside(event).x));
      const lines = event.deltaMode === 1 ? 30 : 1;
      const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * 0.002)));
      const { from, to } = chart.view();
      chart.zoom(middle - (middle - from) * factor, middle + (to - middle) * factor);
    },
    { passive: false },
  );
}
