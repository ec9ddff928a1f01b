// Logged requests that are worth a person's look: each gets the class that a person says.

import { attempt, button, byId, element, percent, say } from "./elements.js";
import { otherClass } from "./recognise.js";
import { showGroups } from "./groups.js";
import { call, showImage } from "./service.js";

const PAGE = 12;
const NAME = "kshot-by";
let state;
let next = null;
let turn = 0; // the last reading that was begun: what an earlier one brings is not shown

export function begin(page) {
  state = page;
  byId("by").value = localStorage.getItem(NAME) ?? "";
  byId("by").addEventListener("change", () => localStorage.setItem(NAME, byId("by").value.trim()));
  byId("order").addEventListener("change", () => attempt(load));
  byId("again").addEventListener("click", () => attempt(load));
  byId("more-items").addEventListener("click", () => attempt(() => list(next)));
}

// Shows the section where the service keeps a log, or kept one, unless the key may only ask.
export async function load() {
  const mine = ++turn;
  let seen = false;
  if (state.gallery) {
    try {
      seen = (await list(null)) || state.service.log !== "off";
    } catch (error) {
      if (error.code !== "scope_missing") throw error;
    }
    if (mine !== turn) return;
  }
  byId("review").hidden = byId("to-review").hidden = !seen;
}

// Shows one page of the log, or all groups. Returns whether it has anything.
async function list(after) {
  const gallery = state.gallery.name;
  const mine = after === null ? turn : ++turn;
  if (byId("order").value === "groups") {
    byId("items").replaceChildren();
    byId("more-items").hidden = true;
    const isOpen = () => mine === turn && state.gallery?.name === gallery;
    return (await showGroups(byId("items"), state.gallery, isOpen, store)) > 0 || !byId("review").hidden;
  }
  const query = new URLSearchParams({ gallery, order: byId("order").value, limit: PAGE, ...(after === null ? {} : { after }) });
  const found = await call("GET", `v1/feedback?${query}`, undefined, { mayAskForKey: after !== null });
  if (mine !== turn || state.gallery?.name !== gallery) return false;
  if (after === null) byId("items").replaceChildren();
  next = found.next;
  byId("items").append(...found.items.map(itemCard));
  if (!byId("items").children.length) byId("items").append(element("li", { class: "soft" }, "Nothing is logged yet."));
  byId("more-items").hidden = next === null;
  return found.items.length > 0;
}

// Stores labels, all or none. Returns who gave them, or null where the name is missing.
async function store(labels) {
  const by = byId("by").value.trim();
  if (!by) {
    byId("by").focus();
    say("Write your name first: each label is kept with who gave it.");
    return null;
  }
  await call("POST", "v1/feedback/labels", { labels, by });
  return by;
}

function itemCard(item) {
  const img = element("img", { alt: "The logged image", loading: "lazy" });
  attempt(() => showImage(img, `v1/feedback/${item.item}/image`));
  const prediction = item.unknown ? `Unknown, nearest ${item.label}` : item.label;
  const facts = [
    item.unknown || item.probability === null ? null : percent(item.probability),
    item.challenger && item.challenger !== item.label ? `the shadow model says ${item.challenger}` : null,
    `version ${item.model_version}`,
    new Date(item.requested).toLocaleString(),
  ].filter(Boolean);
  const given = element("p", { class: "done", hidden: item.given === null });
  const card = element("li", { class: "card item" }, img,
    element("h3", { class: "name", tabindex: "-1" }, prediction), element("p", { class: "soft" }, facts.join(" · ")), given);
  const show = (name, by) => given.replaceChildren("Labelled as ", element("strong", {}, name), by ? ` by ${by}` : "");
  if (item.given !== null) show(item.given, item.by);
  const label = (name) => attempt(async () => {
    const by = await store([{ item: item.item, class: name }]);
    if (!by) return;
    given.hidden = false;
    show(name, by);
    say(`Labelled as ${name}.`);
  });
  card.append(element("div", { class: "row", role: "group", "aria-label": "The class of this image" },
    element("span", { class: "soft" }, "It is"),
    button(item.label, () => label(item.label)),
    button("Another class …", () => attempt(async () => {
      const name = await otherClass();
      if (name) await label(name);
    }))));
  return card;
}
