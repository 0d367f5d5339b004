// What all pages have: the connection and its loss, the search, the keys.

import { follow } from "./stream.js";
import { capital, dateTime, micros, time, zone } from "./words.js";

export const $ = (id) => document.getElementById(id);

/** Sets a text, if it is another. */
export const put = (node, text) => {
  const own = typeof node === "string" ? $(node) : node;
  if (own.textContent !== text) own.textContent = text;
};

/** An element with properties, attributes (`data-…`, `aria-…`) and children. */
export function make(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A link to the page of a message. */
export const messageLink = (id) => make("a", { className: "id", href: `/messages/${id}`, title: id }, id.slice(0, 8));

const LOST_MS = 4_000;
let base = { us: 0, at: 0 };
let heardAt = performance.now();
let trouble = null;

/** The database's time, extrapolated from the latest state. It stands still while the connection is lost. */
export const now = () => (base.us ? base.us + (Math.min(performance.now(), heardAt + LOST_MS) - base.at) * 1000 : Date.now() * 1000);
/** Why the page is not followed, in short; empty: it is. */
let how = "";
export const lostHow = () => how;
export const isLost = () => how !== "";

/** The server's times in UTC become the browser's. */
export const local = (text) => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => dateTime(micros(at), now()));

const changes = [];
/** Calls `then(isLost)` when the connection is lost or comes back, or when it becomes known why it is lost. */
export const onConnection = (then) => changes.push(then);

function watch() {
  const silent = performance.now() - heardAt;
  const is = trouble ? (isOut() ? "Logged out" : "Not connected") : silent > LOST_MS ? "Connection lost" : "";
  if (is !== how) {
    how = is;
    document.body.classList.toggle("is-lost", isLost());
    $("lost").hidden = !isLost();
    // What cannot be done now is not offered.
    for (const button of document.querySelectorAll("#acts button, #need-list button, #pause-all, #texts button, #do button")) button.disabled = isLost();
    for (const then of changes) then(isLost());
  }
  if (isLost()) explain(silent);
}

const isOut = () => trouble?.status === 401 || trouble?.status === 403;

function explain(silent) {
  const asOf = base.us ? ` Showing the state as of ${dateTime(base.us, Date.now() * 1000)}.` : "";
  if (isOut()) {
    if ($("lost").dataset.is === "out") return;
    $("lost").dataset.is = "out";
    $("lost").replaceChildren("You are logged out.", asOf, " ", make("a", { href: "/login" }, "Log in"));
    return;
  }
  $("lost").dataset.is = "lost";
  const reason = trouble ? `${capital(trouble.text)}.` : `Connection lost at ${time((Date.now() - silent) * 1000)}.`;
  put("lost", `${reason}${asOf} Reconnecting…`);
}

/** Follows the stream: `then` gets every frame. */
export function begin(then) {
  put("zone", zone);
  follow((frame) => {
    if (frame.trouble) {
      trouble = frame.trouble;
      watch();
      return;
    }
    if (frame.state) {
      trouble = null;
      heardAt = performance.now() - frame.age;
      base = { us: micros(frame.state.now), at: heardAt };
      if ($("pause-all")) put("pause-all", frame.state.status.is === "paused" ? "Resume…" : "Pause…");
      watch();
    }
    then(frame);
  });
  setInterval(watch, 1_000);
}

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
let search = (text) => location.assign(`/?${new URLSearchParams({ q: text })}`);
/** What a search does that is not for a whole id. */
export const onSearch = (then) => { search = then; };

$("search").addEventListener("submit", (event) => {
  const wanted = $("q").value.trim();
  event.preventDefault();
  if (UUID.test(wanted)) location.assign(`/messages/${wanted.toLowerCase()}`);
  else if (wanted !== "") search(wanted);
});

const keys = new Map();
/** A key, what it does, and how the help describes it. */
export const onKey = (key, words, then) => keys.set(key, { words, then });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select") || document.querySelector("dialog[open]")) return;
  const known = keys.get(event.key);
  if (!known) return;
  event.preventDefault();
  known.then();
});

function help() {
  $("shortcuts").replaceChildren(...[...keys].map(([key, { words }]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, words))));
  $("help").showModal();
}

onKey("/", "Search", () => $("q").focus());
onKey("?", "Show the keys", help);
$("keys").addEventListener("click", help);
