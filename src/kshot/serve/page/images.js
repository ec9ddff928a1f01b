// Image files that a person drops, chooses, pastes or photographs.

import { attempt, element } from "./elements.js";

const NAME_OF_PHOTOGRAPH = "photograph.jpg";

// Fills `place` with two file buttons and lets files be dropped on `target`. `take` is called with the files.
export function filePicker(place, target, what, take) {
  const given = (files) => files.length && attempt(() => take([...files]));
  const picker = (text, attributes) => {
    const input = element("input", {
      type: "file", accept: "image/*", class: "hidden-input", "aria-label": `${text} ${what}`, ...attributes,
      onchange: () => {
        const files = [...input.files];
        input.value = ""; // so that the same file can be chosen again
        given(files);
      },
    });
    return element("label", { class: "file" }, input, element("span", { "aria-hidden": "true" }, text));
  };
  place.append(picker("Choose images", { multiple: true }), picker("Photograph", { capture: "environment" }));
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    target.classList.add("over");
  });
  target.addEventListener("dragleave", (event) => {
    if (!target.contains(event.relatedTarget)) target.classList.remove("over");
  });
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("over");
    given(event.dataTransfer.files);
  });
}

// The image files on the clipboard.
export const pasted = (event) => [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));

// The file itself, or, where it has more bytes or pixels than the service takes, a smaller JPEG of it.
export async function fitted(file, limits) {
  const most = limits.body_bytes * 0.9; // the rest of the request needs room too
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file; // not an image that this browser reads: the service says what it makes of it
  }
  const pixels = bitmap.width * bitmap.height;
  if (file.size <= most && pixels <= limits.image_pixels) {
    bitmap.close();
    return file;
  }
  const scale = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height), Math.sqrt(limits.image_pixels / pixels));
  const canvas = element("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return new File([blob], file.name || NAME_OF_PHOTOGRAPH, { type: "image/jpeg" });
}

// Lists of files that one request each can carry.
export function portions(files, limits) {
  const all = [];
  let now = [], bytes = 0;
  for (const file of files) {
    if (now.length && (now.length === limits.images || bytes + file.size > limits.body_bytes * 0.9)) {
      all.push(now);
      [now, bytes] = [[], 0];
    }
    now.push(file);
    bytes += file.size;
  }
  return now.length ? [...all, now] : all;
}

export const base64 = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
