// Asks which class an image shows, and teaches the image to the right class with one touch.

import { attempt, button, byId, counted, element, field, form, percent, say } from "./elements.js";
import { base64, filePicker, fitted, pasted, portions } from "./images.js";
import { at, call, showImage } from "./service.js";
import { takeBack } from "./teach.js";

let state, refresh;
let urls = []; // addresses of the sent images on this page

export function begin(page, reread) {
  [state, refresh] = [page, reread];
  const drop = byId("ask-drop");
  drop.append(element("p", {}, "Which class is it? Drop an image here, or"));
  const row = element("div", { class: "row" });
  drop.append(row);
  filePicker(row, drop, "to ask about", recognise);
  document.addEventListener("paste", (event) => {
    const files = pasted(event);
    if (files.length && state.gallery) attempt(() => recognise(files));
  });
}

export function clear() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  byId("predictions").replaceChildren();
}

export function show() {
  const classes = state.gallery?.classes ?? [];
  const hint =
    classes.length === 0 ? "Nothing is taught yet: add two classes with images first."
    : classes.length === 1 ? "Only one class is taught: with a second one there is something to tell apart."
    : `Predictions are one of ${counted(classes.length, "class", "classes")}, or unknown.`;
  byId("ask-hint").textContent = hint;
}

async function recognise(files) {
  if (!state.gallery) {
    say("No gallery is open yet: wait a moment, or make one.");
    return;
  }
  const gallery = state.gallery.name;
  const { limits } = state.service;
  const images = await Promise.all(files.map((file) => fitted(file, limits)));
  let done = 0;
  for (const portion of portions(images, limits)) {
    say(images.length > portion.length ? `Asking: ${done} of ${images.length} …` : "Asking …");
    const body = new FormData();
    for (const image of portion) body.append("images", image, image.name);
    const response = await call("POST", `v1/galleries/${at(gallery)}/recognise`, body);
    if (state.gallery?.name !== gallery) return;
    const cards = response.results.map((result, place) => predictionCard(gallery, portion[place], result, response));
    byId("predictions").prepend(...cards);
    cards[0].querySelector("h3").focus();
    done += portion.length;
    say(cards.length === 1 ? spoken(response.results[0]) : `${counted(done, "prediction")}.`);
  }
}

function spoken(result) {
  if (result.unknown) return `Unknown: unlike every class taught here. Nearest is ${result.label}.`;
  return result.probability === null ? `${result.label}.` : `${result.label}, probability ${percent(result.probability)}.`;
}

function predictionCard(gallery, image, result, response) {
  const url = URL.createObjectURL(image);
  urls.push(url);
  const [nearest] = result.nearest;
  const facts = [];
  if (result.unknown) facts.push(`Unlike every class taught here. Nearest class: ${result.label}.`);
  if (result.unknown === null) facts.push("This model has no limit for unknown images: every image gets a class, whatever it shows.");
  if (result.probability === null) facts.push("Only one class is taught, so there is no probability.");
  const card = element(
    "li", { class: `card prediction ${result.unknown ? "unknown" : ""}` },
    element("div", { class: "pair" },
      element("figure", {}, element("img", { src: url, alt: "The sent image" }), element("figcaption", {}, "sent")),
      nearest && nearestFigure(gallery, nearest),
      element("div", { class: "result" },
        element("h3", { class: "name", tabindex: "-1" }, result.unknown ? "Unknown" : result.label),
        !result.unknown && result.probability !== null && probability(result.probability, response.calibrated),
        ...facts.map((fact) => element("p", { class: "soft" }, fact)),
        !result.unknown && result.next.length > 0 && element("ul", { class: "next", "aria-label": "Classes that come next" },
          ...result.next.map((one) => element("li", {}, one.class, " ", element("span", { class: "soft" }, one.probability === null ? "" : percent(one.probability))))),
      ),
    ),
  );
  card.append(correction(gallery, image, result, response, card));
  return card;
}

function probability(value, calibrated) {
  const title = calibrated ? "calibrated probability" : "probability, not calibrated";
  return element("p", { class: "probability" }, element("meter", { min: 0, max: 1, value, "aria-label": title }), ` ${percent(value)} `,
    !calibrated && element("span", { class: "soft" }, "(not calibrated)"));
}

function nearestFigure(gallery, nearest) {
  const img = element("img", { alt: `The nearest example, of ${nearest.class}` });
  attempt(() => showImage(img, `v1/galleries/${at(gallery)}/examples/${nearest.example}/image`));
  return element("figure", {}, img, element("figcaption", { class: "name" }, `nearest example: ${nearest.class}`));
}

// One button a likely class, and one for any other. A touch teaches the image to the class.
function correction(gallery, image, result, response, card) {
  const names = [result.label, ...result.next.map((one) => one.class)];
  const row = element("div", { class: "row", role: "group", "aria-label": "Teach this image to its class" });
  const choose = (name) => attempt(async () => {
    const examples = [{ class: name, image: await base64(image), name: image.name ?? "", request: response.request }];
    const taught = await call("POST", `v1/galleries/${at(gallery)}/examples`, { examples });
    await refresh();
    const ready = element("p", { class: "done", tabindex: "-1" }, taught.examples.length ? "Taught as " : "Was taught before as ", element("strong", {}, name));
    row.replaceWith(ready);
    ready.focus();
    const undo = takeBack(gallery, taught.examples);
    say([`The image is taught to ${name}.`, ...taught.notes].join(" "), taught.examples.length === 0 ? null : async () => {
      await undo();
      ready.replaceWith(row);
      card.querySelector("h3").focus();
    });
  });
  row.append(
    element("span", { class: "soft" }, "It is"),
    ...names.map((name) => button(name, () => choose(name), { "aria-label": `It is ${name}: teach this image to ${name}` })),
    button("Another class …", () => attempt(async () => {
      const name = await otherClass();
      if (name) await choose(name);
    })),
  );
  return row;
}

export async function otherClass() {
  const known = element("datalist", { id: "known-classes" }, ...state.gallery.classes.map((one) => element("option", { value: one.name })));
  const given = await form("Which class is it?", [field("Class, new or known", "name", { required: true, list: "known-classes" }), known], "Teach");
  return given?.get("name").trim() || null;
}
