// Logged unknown images that look alike, in groups: one class for all that are ticked.

import { attempt, button, byId, counted, element, say } from "./elements.js";
import { at, call, showImage } from "./service.js";

const SHOWN = 24; // images of a group; the others get its class, too, and are counted
let cards = 0;

// Shows the groups of a gallery. `label(pairs)` stores item and class of each. Returns how many groups there are.
export async function showGroups(list, gallery, isOpen, label) {
  const found = await call("GET", `v1/galleries/${at(gallery.name)}/unknown`, undefined, { mayAskForKey: false });
  if (!isOpen()) return 0;
  const names = gallery.classes.map((one) => one.name);
  list.replaceChildren(...found.groups.map((group) => groupCard(group.items, names, label)));
  if (!found.groups.length) list.append(element("li", { class: "soft" }, "No unknown image waits for a class."));
  return found.groups.length;
}

function groupCard(items, names, label) {
  const number = ++cards;
  const left = new Set();
  const said = items.length === 1 ? "1 unknown image alone" : `${items.length} unknown images that look alike`;
  const thumbnails = items.slice(0, SHOWN).map((item, place) => {
    const img = element("img", { alt: `Logged image ${place + 1} of the group`, loading: "lazy" });
    attempt(() => showImage(img, `v1/feedback/${item}/image`));
    const box = element("input", {
      type: "checkbox", checked: true,
      onchange: (event) => {
        if (event.target.checked) left.delete(item);
        else left.add(item);
        count();
      },
    });
    return element("li", {}, element("label", { class: "tick" }, img, box));
  });
  const name = element("input", { id: `group-${number}`, required: true, list: `names-${number}`, autocomplete: "off" });
  const act = element("button", { class: "main" });
  const count = () => {
    act.textContent = `Label ${counted(items.length - left.size, "image")}`;
    act.disabled = left.size === items.length;
  };
  count();
  const form = element("form", {
    class: "row",
    onsubmit: (event) => {
      event.preventDefault();
      attempt(async () => {
        const chosen = items.filter((item) => !left.has(item));
        const given = name.value.trim();
        if (!given || !(await label(chosen.map((item) => ({ item, class: given }))))) return;
        form.replaceWith(element("p", { class: "done", tabindex: "-1" }, `${counted(chosen.length, "image")} labelled as `,
          element("strong", {}, given)));
        card.querySelectorAll("input").forEach((box) => { box.disabled = true; });
        card.querySelector(".done").focus();
        say(`${counted(chosen.length, "image")} labelled as ${given}.`);
      });
    },
  },
  element("label", { for: name.id }, "They are"), name,
  element("datalist", { id: `names-${number}` }, ...names.map((one) => element("option", { value: one }))), act);
  const more = items.length > SHOWN ? element("p", { class: "soft" }, `and ${items.length - SHOWN} more`) : null;
  const card = element("li", { class: "card group" }, element("h3", {}, said),
    element("ul", { class: "thumbnails" }, ...thumbnails), more,
    items.length > 1 ? button("Tick none", () => {
      card.querySelectorAll("input[type=checkbox]").forEach((box) => { box.checked = false; });
      items.forEach((item) => left.add(item));
      count();
    }, { class: "small" }) : null, form);
  return card;
}
