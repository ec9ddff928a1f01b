// Calls the service. Every path is relative, so that the page works below a path of a proxy too.

import { element, field, form } from "./elements.js";

const KEY = "kshot-key";
let keyForm = null; // the open form for a key, shared by all calls that wait for it

export class ServiceError extends Error {
  forPerson = true;
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const key = () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
export const at = (...parts) => parts.map((part) => encodeURIComponent(part)).join("/");

// The body of a response: JSON, or else a blob. `body` is a form or what becomes JSON.
export async function call(method, path, body, { mayAskForKey = true } = {}) {
  const response = await fetched(method, path, body, mayAskForKey);
  if (response.status === 204) return null;
  return response.headers.get("content-type")?.startsWith("application/json") ? response.json() : response.blob();
}

async function fetched(method, path, body, mayAskForKey, refused = false) {
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  const used = key();
  let content = body;
  if (body !== undefined && !(body instanceof FormData) && !(body instanceof Blob)) {
    headers["Content-Type"] = "application/json";
    content = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, { method, headers, body: content, cache: "no-cache" });
  } catch {
    throw new ServiceError(0, "unreachable", "The service does not response. Check the connection, and that it runs.");
  }
  if (response.ok) return response;
  const problem = await response.json().then((found) => found.error, () => null);
  if (mayAskForKey && (response.status === 401 || problem?.code === "scope_missing")) {
    const line = refused || used ? problem?.message : "";
    if (key() !== used || (await askForKey(line))) return fetched(method, path, body, true, true);
  }
  const line = problem?.message ?? `The service answered ${response.status}.`;
  throw new ServiceError(response.status, problem?.code ?? "", line[0].toUpperCase() + line.slice(1));
}

function askForKey(line) {
  keyForm ??= form(
    "A key is needed",
    [
      element("p", {}, line || "This service answers only with a key. The person who runs it makes one."),
      field("Key", "key", { type: "password", required: true, autocomplete: "current-password" }),
      element("label", { class: "check" }, element("input", { type: "checkbox", name: "keep" }), "Remember on this device"),
    ],
    "Use this key",
  ).then((given) => {
    keyForm = null;
    if (!given) return false;
    localStorage.removeItem(KEY);
    sessionStorage.setItem(KEY, given.get("key").trim());
    if (given.get("keep")) localStorage.setItem(KEY, given.get("key").trim());
    return true;
  });
  return keyForm;
}

// Shows the image of a path. With a key it is fetched first, because an <img> cannot send one.
export async function showImage(img, path) {
  if (!key()) {
    img.src = path;
    return;
  }
  const url = URL.createObjectURL(await call("GET", path));
  img.onload = () => URL.revokeObjectURL(url);
  img.src = url;
}
