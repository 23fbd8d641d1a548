// Elements. Texts from files go through here: they are only ever text, never markup.

export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// One of a few choices, as a row of buttons.
export function segments(label, choices, chosen, choose) {
  const buttons = Object.entries(choices).map(([value, text]) =>
    el("button", { type: "button", textContent: text, value, onclick: () => choose(value) }),
  );
  const about = { className: "segments", role: "group", "aria-label": label };
  const group = el("div", about, ...buttons);
  const show = (value) =>
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.value === value));
  show(chosen);
  return { group, show };
}

// A field for a regular expression; one that is malformed is marked and not used.
export function patternField(placeholder, change) {
  const field = el("input", {
    ...{ type: "search", placeholder, "aria-label": placeholder },
    ...{ spellcheck: false, autocomplete: "off" },
    oninput: () => {
      try {
        const pattern = field.value ? new RegExp(field.value, "iu") : null;
        field.classList.remove("bad");
        change(pattern);
      } catch {
        field.classList.add("bad");
      }
    },
  });
  return field;
}
