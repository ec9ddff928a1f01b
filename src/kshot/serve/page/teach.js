// The classes of a gallery: add images, look at them, rename and delete.

import { attempt, button, byId, counted, element, field, fill, form, say } from "./elements.js";
import { filePicker, fitted, portions } from "./images.js";
import { at, call, showImage } from "./service.js";

const CARDS = 50; // classes shown at first, and with each "more"
const THUMBNAILS = 12;
let state, refresh;
let shown = CARDS;
let drafts = []; // names of classes that have no image yet; the service knows none of them
let galleryOfDrafts = null;

export function begin(page, reread) {
  [state, refresh] = [page, reread];
  byId("new-class").addEventListener("submit", (event) => {
    event.preventDefault();
    addClass(byId("class-name").value.trim());
  });
  byId("filter-text").addEventListener("input", () => {
    shown = CARDS;
    show();
  });
  byId("more-classes").addEventListener("click", () => {
    shown += CARDS;
    show();
  });
}

// Sends images to a class. Returns the added examples. `about` describes the request that an image comes from.
export async function teach(gallery, name, files, { quiet = false } = {}) {
  const added = [], already = [], notes = [];
  const { limits } = state.service;
  const images = await Promise.all(files.map((file) => fitted(file, limits)));
  let sent = 0;
  for (const portion of portions(images, limits)) {
    if (!quiet) say(`Teaching ${name}: ${sent} of ${images.length} …`);
    const body = new FormData();
    body.append("class", name);
    for (const image of portion) body.append("images", image, image.name);
    const taught = await call("POST", `v1/galleries/${at(gallery)}/examples`, body);
    added.push(...taught.examples);
    already.push(...taught.already);
    notes.push(...taught.notes);
    sent += portion.length;
  }
  return { added, already, notes };
}

export function takeBack(gallery, examples) {
  return async () => {
    for (const one of examples) await call("DELETE", `v1/galleries/${at(gallery)}/examples/${one.id}`);
    await refresh();
    say("Taken back.");
  };
}

export function show() {
  const { gallery } = state;
  if (!gallery) return;
  if (gallery.name !== galleryOfDrafts) [drafts, galleryOfDrafts, shown] = [[], gallery.name, CARDS];
  drafts = drafts.filter((name) => !gallery.classes.some((one) => one.name === name));
  const all = [...drafts.map((name) => ({ name, examples: 0 })), ...gallery.classes];
  const text = byId("filter-text").value.toLowerCase();
  const found = all.filter((one) => one.name.toLowerCase().includes(text));
  byId("filter").hidden = all.length <= 12;
  const before = new Map([...byId("classes").children].map((card) => [card.dataset.key, card]));
  const cards = found.slice(0, shown).map((one) => {
    const key = JSON.stringify([gallery.name, gallery.model_version && one.name]);
    const card = before.get(key) ?? classCard(gallery.name, one.name, key);
    update(card, one);
    return card;
  });
  fill(byId("classes"), ...cards);
  byId("more-classes").hidden = found.length <= shown;
}

function addClass(name) {
  if (!name) return;
  byId("class-name").value = "";
  const exists = state.gallery.classes.some((one) => one.name === name);
  if (!exists && !drafts.includes(name)) drafts.unshift(name);
  byId("filter-text").value = "";
  show();
  const card = [...byId("classes").children].find((one) => one.dataset.name === name);
  card?.scrollIntoView({ block: "nearest" });
  card?.querySelector("input")?.focus();
  say(exists ? `Class ${name} is there already.` : `Class ${name} is ready. Give it images.`);
}

function classCard(gallery, name, key) {
  const pick = element("div", { class: "row" });
  const card = element(
    "li", { class: "card class", "data-key": key, "data-name": name },
    element("div", { class: "head" },
      element("h3", { class: "name", tabindex: "-1" }, name),
      element("span", { class: "soft count" }),
      button("Edit", () => attempt(() => edit(gallery, name)), { class: "small", "aria-label": `Rename or delete class ${name}` }),
    ),
    element("ul", { class: "thumbnails", "aria-label": `Examples of ${name}` }),
    pick,
  );
  filePicker(pick, card, `for class ${name}`, async (files) => {
    const { added, already, notes } = await teach(gallery, name, files);
    await refresh();
    const twice = already.length ? [`${counted(already.length, "image was", "images were")} here already.`] : [];
    say([`${counted(added.length, "image")} taught to ${name}.`, ...twice, ...notes].join(" "), added.length ? takeBack(gallery, added) : null);
  });
  return card;
}

function update(card, one) {
  const known = card.dataset.examples;
  const revision = String(state.gallery.revision);
  card.querySelector(".count").textContent = one.examples ? counted(one.examples, "image") : "no image yet";
  card.classList.toggle("empty", one.examples === 0);
  if (known === `${one.examples}/${revision}`) return;
  card.dataset.examples = `${one.examples}/${revision}`;
  if (one.examples === 0) card.querySelector(".thumbnails").replaceChildren();
  else whenSeen(card, () => attempt(() => listExamples(card, one.name, null)));
}

// Calls `act` when the card first comes near the visible part, so that a large gallery loads what is looked at.
function whenSeen(card, act) {
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    act();
  }, { rootMargin: "300px" }).observe(card);
}

async function listExamples(card, name, after) {
  const gallery = state.gallery.name;
  const place = `v1/galleries/${at(gallery)}/examples`;
  const query = new URLSearchParams({ class: name, limit: THUMBNAILS, ...(after === null ? {} : { after }) });
  const { examples, next } = await call("GET", `${place}?${query}`);
  const list = card.querySelector(".thumbnails");
  const before = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const items = examples.map((one) => before.get(String(one.id)) ?? thumbnail(gallery, one));
  const more = next === null ? [] : [
    element("li", {}, button("More", ({ target }) => {
      target.disabled = true;
      attempt(() => listExamples(card, name, next));
    }, { class: "more", "aria-label": `More examples of ${name}` })),
  ];
  if (after === null) fill(list, ...items, ...more);
  else {
    list.lastElementChild.replaceWith(...items, ...more);
    items[0]?.querySelector("button")?.focus();
  }
}

function thumbnail(gallery, example) {
  const what = example.name ? `${example.class}, ${example.name}` : example.class;
  const img = element("img", { alt: `Example of ${what}`, loading: "lazy", decoding: "async", width: 72, height: 72 });
  attempt(() => showImage(img, `v1/galleries/${at(gallery)}/examples/${example.id}/image`));
  return element(
    "li", { "data-id": example.id, id: `example-${example.id}` }, img,
    button("×", () => attempt(() => forget(gallery, example)), { class: "delete", "aria-label": `Delete this example of ${what}` }),
  );
}

// Deletes an example. The image is fetched first, so that it can be taught again.
async function forget(gallery, example) {
  const path = `v1/galleries/${at(gallery)}/examples/${example.id}`;
  const blob = await call("GET", `${path}/image`);
  await call("DELETE", path);
  const item = byId(`example-${example.id}`);
  const neighbour = item?.nextElementSibling ?? item?.previousElementSibling;
  (neighbour?.querySelector("button") ?? item?.closest(".card")?.querySelector("h3"))?.focus();
  item?.remove();
  await refresh();
  say(`One example of ${example.class} is deleted.`, async () => {
    await teach(gallery, example.class, [new File([blob], example.name || "image", { type: blob.type })], { quiet: true });
    await refresh();
    say(`The example of ${example.class} is back.`);
  });
}

async function edit(gallery, name) {
  const away = element("button", { value: "delete", formnovalidate: true, class: "danger" }, "Delete this class");
  const label = field("Name", "name", { required: true, value: name });
  const given = await form("This class", [label, element("p", { class: "row" }, away)], "Save");
  if (given?.get("action") === "delete") return remove(gallery, name);
  const to = given?.get("name").trim();
  if (!to || to === name) return;
  if (drafts.includes(name)) drafts = drafts.map((one) => (one === name ? to : one));
  else await renamed(gallery, name, to);
  await refresh();
  say(`Class ${name} is ${to} now.`);
}

async function renamed(gallery, name, to) {
  const path = `v1/galleries/${at(gallery)}/classes/${at(name)}`;
  try {
    await call("PATCH", path, { name: to });
  } catch (error) {
    if (error.status !== 409) throw error;
    const line = `Class ${to} exists. All images of ${name} would go to it.`;
    if (await form("Put the two together?", [element("p", {}, line)], "Put together")) await call("PATCH", path, { name: to, merge: true });
    else throw error;
  }
}

async function remove(gallery, name) {
  const one = state.gallery.classes.find((each) => each.name === name);
  if (!one) drafts = drafts.filter((each) => each !== name);
  else {
    const line = `${name} with ${counted(one.examples, "image")} will be gone for good.`;
    if (!(await form("Delete this class?", [element("p", {}, line)], "Delete", { danger: true }))) return;
    await call("DELETE", `v1/galleries/${at(gallery)}/classes/${at(name)}`);
  }
  await refresh();
  byId("class-name").focus();
  say(`Class ${name} is deleted.`);
}
