// Makes elements of the page. Text is always set as text: a name that holds markup is shown as it is written.

export const byId = (id) => document.getElementById(id);

// An element with attributes; a function is a listener (`onclick`), true an attribute without a value, and a child a
// node or a text.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);

// Gives `place` these children. An element that stays keeps the focus, which a person at the keyboard would search for.
export function fill(place, ...children) {
  const focused = document.activeElement;
  place.replaceChildren(...children);
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

export const counted = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function percent(probability) {
  if (probability > 0.999) return "over 99.9 %";
  if (probability < 0.001) return "under 0.1 %";
  return `${(probability * 100).toFixed(1)} %`;
}

// What a person should know now. `undo`, if given, takes the last change back; the focus then returns to where it was.
export function say(text, undo = null) {
  const focused = document.activeElement;
  byId("problem").textContent = "";
  byId("status").textContent = text;
  const back = byId("undo");
  back.hidden = undo === null;
  back.onclick = undo && (async () => {
    back.hidden = true;
    await attempt(undo);
    if (document.activeElement === document.body && focused.isConnected) focused.focus({ preventScroll: true });
  });
}

// Does something and shows the one line of an error, if there is one. Returns whether it was done.
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    byId("status").textContent = "";
    byId("undo").hidden = true;
    byId("problem").textContent = error.message;
    if (!error.forPerson) console.error(error);
    return false;
  }
}

// A modal form. `fields` are nodes. Returns the form's data, with the value of the touched button as `action`, or null
// if the person left it.
export function form(title, fields, act, { danger = false } = {}) {
  const body = element(
    "form", { method: "dialog" },
    element("h2", { id: "dialog-title" }, title),
    ...fields,
    element(
      "p", { class: "row" },
      element("button", { value: "yes", class: danger ? "danger" : "main" }, act),
      button("Cancel", () => dialog.close("")),
    ),
  );
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, body);
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const data = dialog.returnValue ? new FormData(body) : null;
      data?.set("action", dialog.returnValue);
      dialog.remove();
      before?.focus();
      resolve(data);
    };
  });
}

export const field = (label, name, attributes = {}) =>
  element("label", { class: "field" }, label, element("input", { name, ...attributes }));
