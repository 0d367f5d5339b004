// The history of one message in a dialog, from /debug/messages/{id}.

import { dateTime, micros, span } from "./words.js";

const $ = (id) => document.getElementById(id);
const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const MOMENT = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

/** Opens the message with this id, or the one on this page whose id starts with it. */
export function find(text, state) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return;
  if (UUID.test(wanted)) {
    open(wanted);
    return;
  }
  const shown = [...document.querySelectorAll("a.id")].map((link) => link.title);
  const known = new Set([...(state?.timers ?? []).map((timer) => timer.id), ...shown]);
  const found = [...known].filter((id) => id.startsWith(wanted));
  if (found.length === 1) open(found[0]);
  else show(text, [note(found.length === 0 ? "No match on this page. Enter the full id to search the database." : `${found.length} ids on this page start with that. Enter more of the id.`)]);
}

export async function open(id) {
  show(id, [note("…")]);
  const story = await load(`/debug/messages/${id}`);
  if ($("story-id").textContent !== id) return;
  if (story.json) show(id, tell(story.json));
  else show(id, [note(story.text)]);
}

async function load(url) {
  try {
    const answer = await fetch(url, { headers: { accept: "application/json" } });
    if (!answer.ok) return { status: answer.status, text: await answer.text() };
    return { status: answer.status, json: await answer.json() };
  } catch {
    return { status: 0, text: "Punctual does not respond." };
  }
}

/** Objects as lists of their fields, arrays one element after the other. */
function tell(story) {
  const parts = [];
  if (typeof story.next === "string") parts.push(note(story.next));
  for (const [name, value] of Object.entries(story)) {
    if (Array.isArray(value)) {
      value.forEach((each, index) => parts.push(heading(`${words(name).replace(/s$/, "")} ${each.number ?? index + 1}`), list(each, ["number"])));
    } else if (value !== null && typeof value === "object") parts.push(heading(words(name)), list(value, []));
  }
  return parts;
}

const words = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

function list(values, without) {
  const dl = document.createElement("dl");
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === "" || without.includes(name)) continue;
    const dt = document.createElement("dt");
    dt.textContent = words(name).replace(/ us$/, "");
    const dd = document.createElement("dd");
    if (typeof value === "string" && MOMENT.test(value)) {
      const us = micros(value);
      dd.textContent = dateTime(us, Date.now() * 1000);
      dd.title = value;
    } else if (name.endsWith("_us")) dd.textContent = value < 0 ? `−${span(-value)}` : span(value);
    else dd.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
    dl.append(dt, dd);
  }
  return dl;
}

function heading(text) {
  const node = document.createElement("h3");
  node.textContent = text;
  return node;
}

function note(text) {
  const node = document.createElement("p");
  node.textContent = text;
  return node;
}

function show(id, parts) {
  $("story-id").textContent = id;
  $("story-body").replaceChildren(...parts);
  if (!$("story").open) $("story").showModal();
}
