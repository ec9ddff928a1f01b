// Starts the page: which service this is, which gallery is open, and its settings.

import * as ask from "./recognise.js";
import { attempt, byId, counted, element, field, form, say } from "./elements.js";
import * as review from "./review.js";
import { at, call } from "./service.js";
import * as teach from "./teach.js";

// service: the response of /v1/service; gallery: the open gallery as the service last described it, or null.
const state = { service: null, galleries: [], gallery: null };

const wanted = () => new URLSearchParams(location.hash.slice(1)).get("gallery");

async function start() {
  state.service = await call("GET", "v1/service");
  const { project, model, notes, switching_to: coming } = state.service;
  byId("new-gallery").disabled = false;
  byId("project").textContent = project;
  document.title = `${project}: teach and ask`;
  byId("model").textContent = `${model.name} version ${model.version}${model.alias ? `, ${model.alias}` : ""}`;
  const lines = [...(notes ?? []), ...(coming ? [`The galleries are being prepared for version ${coming}.`] : [])];
  byId("service-notes").textContent = lines.join(" ");
  byId("service-notes").hidden = lines.length === 0;
  await listGalleries(wanted());
}

// Reads the galleries and opens the one of this name, else the first.
async function listGalleries(name) {
  state.galleries = (await call("GET", "v1/galleries")).galleries;
  const found = state.galleries.find((one) => one.name === name) ?? state.galleries[0] ?? null;
  byId("gallery").replaceChildren(
    ...state.galleries.map((one) => element("option", { value: one.name, selected: one === found }, one.name)),
  );
  byId("gallery").disabled = state.galleries.length === 0;
  await open(found);
}

async function open(gallery) {
  state.gallery = gallery;
  for (const id of ["teach", "ask", "open-settings", "sections"]) byId(id).hidden = gallery === null;
  byId("welcome").hidden = gallery !== null;
  if (gallery) history.replaceState(null, "", `#gallery=${encodeURIComponent(gallery.name)}`);
  else history.replaceState(null, "", location.pathname);
  ask.clear();
  show();
  await review.load();
}

function show() {
  teach.show();
  ask.show();
}

// Reads the open gallery again, after something in it changed.
async function refresh() {
  const name = state.gallery.name;
  const fresh = await call("GET", `v1/galleries/${at(name)}`);
  if (state.gallery?.name !== name) return; // another was opened meanwhile
  state.gallery = fresh;
  show();
}

async function makeGallery() {
  const given = await form(
    "New gallery",
    [field("Name", "name", { required: true, maxlength: state.service.limits.name_characters, placeholder: "garden birds" })],
    "Make it",
  );
  if (!given) return;
  const made = await call("POST", "v1/galleries", { name: given.get("name").trim() });
  await listGalleries(made.name);
  say(`Gallery ${made.name} is made. Add its first class.`);
  byId("class-name").focus();
}

async function settings() {
  const { name, unknown_threshold: own, classes } = state.gallery;
  const zip = element("input", {
    type: "file", name: "zip", accept: ".zip", onchange: (event) => event.target.closest("dialog").close("import"),
  });
  const act = (text, value, more = {}) => element("button", { value, formnovalidate: true, ...more }, text);
  const given = await form(
    "Settings of this gallery",
    [
      field("Name", "name", { required: true, value: name, maxlength: state.service.limits.name_characters }),
      field("Distance beyond which an image is unknown; empty: the model's own", "threshold", {
        type: "number", min: 0, step: "any", value: own ?? "",
      }),
      element("p", { class: "row" }, act("Download all as a zip", "export"), act("Delete this gallery", "delete", { class: "danger" })),
      element("label", { class: "field" }, "Take in a zip of class folders", zip),
    ],
    "Save",
  );
  const action = given?.get("action");
  if (action === "export") return download(name);
  if (action === "delete") return remove(name, classes);
  if (action === "import") return bring(name, given.get("zip"));
  if (!given) return;
  const threshold = given.get("threshold") === "" ? null : Number(given.get("threshold"));
  const changed = await call("PATCH", `v1/galleries/${at(name)}`, {
    ...(given.get("name").trim() === name ? {} : { name: given.get("name").trim() }),
    unknown_threshold: threshold,
  });
  await listGalleries(changed.name);
  say("Saved.");
}

async function download(name) {
  const url = URL.createObjectURL(await call("GET", `v1/galleries/${at(name)}/export`));
  element("a", { href: url, download: `${name}.zip` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(`Gallery ${name} is downloaded as a zip.`);
}

async function bring(name, file) {
  say(`Taking in ${file.name} …`);
  const found = await call("POST", `v1/galleries/${at(name)}/import`, file);
  await refresh();
  const left = found.left_out.map((one) => `${counted(one.count, "file")} left out: ${one.reason}.`);
  const twice = found.already ? [`${counted(found.already, "image")} were here already.`] : [];
  say([`${counted(found.taken, "image")} taken.`, ...twice, ...left, ...found.notes].join(" "));
}

async function remove(name, classes) {
  const images = classes.reduce((sum, one) => sum + one.examples, 0);
  const line = `${name} with ${counted(classes.length, "class", "classes")} and ${counted(images, "image")} will be gone for good.`;
  if (!(await form("Delete this gallery?", [element("p", {}, line)], "Delete", { danger: true }))) return;
  await call("DELETE", `v1/galleries/${at(name)}`);
  await listGalleries(null);
  say(`Gallery ${name} is deleted.`);
}

teach.begin(state, refresh);
ask.begin(state, refresh);
review.begin(state, refresh);
byId("gallery").addEventListener("change", (event) =>
  attempt(() => open(state.galleries.find((one) => one.name === event.target.value)).then(refresh)),
);
for (const id of ["new-gallery", "first-gallery"]) byId(id).addEventListener("click", () => attempt(makeGallery));
byId("open-settings").addEventListener("click", () => attempt(settings));
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault()); // no leaving
for (const link of byId("sections").children)
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the address names the gallery, not the section
    byId(link.hash.slice(1)).focus();
    byId(link.hash.slice(1)).scrollIntoView();
  });
attempt(start);
