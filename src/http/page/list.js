// The messages of a filter, in pages. The filter is the address's query, so that a list can be linked and kept.

import { $, isLost, make, messageLink, now, onKey, put } from "./shell.js";
import { count, countdown, dateTime, DUE_S, micros, plain } from "./words.js";

const ROWS = 25;
/** At most so often, and not more than a tenth of the time. */
const AGAIN_MS = 2_000;
const FIELDS = ["q", "from", "to", "reason", "user", "campaign", "template"];
const TABS = [["pending", "Upcoming"], ["sending", "Being sent"], ["sent,delivered", "Sent"], ["failed", "Failed"],
  ["unconfirmed", "Unconfirmed"], ["cancelled", "Cancelled"], ["", "All"]];

let filter = new URLSearchParams();
let cursors = [""];
let next = null;
let messages = [];
let asking = null;
let restUntil = 0;

/** What the list shows: the address without the place in it. */
export const current = () => new URLSearchParams(filter);

function readAddress() {
  filter = new URLSearchParams(location.search);
  if (![...filter.keys()].some((key) => key === "status" || FIELDS.includes(key))) filter.set("status", "pending");
  for (const name of FIELDS) {
    const field = $("filters").elements[name] || (name === "q" ? $("q") : null);
    if (field) field.value = name === "from" || name === "to" ? localInput(filter.get(name)) : filter.get(name) || "";
  }
  const more = FIELDS.slice(1).some((name) => filter.get(name));
  if (more) $("more-filters").open = true;
  for (const tab of $("tabs").children) tab.setAttribute("aria-pressed", tab.dataset.status === (filter.get("status") || ""));
  cursors = [""];
}

/** A time of the address for an input, which has the browser's zone. */
function localInput(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  return new Date(at - new Date(at).getTimezoneOffset() * 60e3).toISOString().slice(0, 19);
}

/** Shows what a query means. */
export function show(query) {
  for (const [name, value] of [...query]) if (value === "") query.delete(name);
  if (!query.has("status") && ![...query.keys()].length) query.set("status", "");
  history.pushState(null, "", `/?${query}`);
  readAddress();
  load();
}

async function load() {
  if (asking || isLost()) return;
  const began = performance.now();
  const query = new URLSearchParams(filter);
  if (query.get("status") === "") query.delete("status");
  query.set("limit", ROWS);
  const cursor = cursors.at(-1);
  if (cursor) query.set("cursor", cursor);
  const own = filter;
  asking = fetch(`/api/messages?${query}`).catch(() => null);
  const answer = await asking;
  const page = answer?.ok ? await answer.json() : null;
  asking = null;
  restUntil = performance.now() + Math.max(AGAIN_MS, 10 * (performance.now() - began));
  if (own !== filter) {
    load();
  } else if (page) {
    ({ messages, next } = page);
    draw();
  } else {
    messages = [];
    next = null;
    draw(answer ? await reason(answer) : "Punctual does not respond.");
  }
}

/** Why a request was refused. */
async function reason(answer) {
  const text = (await answer.text()).trim();
  try {
    return `${JSON.parse(text).error}.`;
  } catch {
    return text;
  }
}

const OUTCOME = { pending: "Waiting", sent: "Sent", delivered: "Delivered", sending: "Being sent", failed: "Failed", cancelled: "Cancelled", unconfirmed: "Unconfirmed" };

/** What has happened to a message, in words. */
function fate(message) {
  const why = message.detail || plain(message.reason);
  return (OUTCOME[message.status] || message.status) + (why ? `: ${why}` : "");
}

function row(message) {
  return make("tr", { "data-id": message.id, "data-status": message.status },
    make("td", { className: "num" }),
    make("td", {}, dateTime(micros(message.due), now())),
    make("td", {}, messageLink(message.id)),
    make("td", { className: "to" }, message.to),
    make("td", { className: "then" }, fate(message)),
    make("td", { className: "type" }, plain(message.message_type)));
}

function draw(trouble = "") {
  const body = $("list-rows");
  // Who reads a row by keyboard stays on it.
  const at = document.activeElement?.closest?.("#list-rows tr")?.dataset.id;
  body.replaceChildren(...messages.map(row));
  if (at) body.querySelector(`tr[data-id="${at}"] a`)?.focus();
  put("none", trouble || (messages.length > 0 || next ? "" : "No messages match."));
  $("previous").disabled = cursors.length < 2;
  $("next").disabled = !next;
  drawActs();
  put("place", cursors.length > 1 || next ? `Page ${cursors.length}` : "");
  drawCountdowns();
}

const OPTIONS = { q: "search" };
const ACTS = {
  pending: [["cancel", ""], ["reschedule", " --later 1h"]],
  failed: [["retry", ""]],
  unconfirmed: [["resolve", " --sent | --resend | --cancel"]],
};

/** The commands that act on all that match. */
function drawActs() {
  const acts = (messages.length > 0 && ACTS[filter.get("status")]) || [];
  const options = [...filter].filter(([name, value]) => value && (name === "status" || FIELDS.includes(name)))
    .map(([name, value]) => ` --${OPTIONS[name] || name} ${value}`).join("");
  $("acts").replaceChildren(...acts.flatMap(([act, how]) => [make("code", {}, `punctual ${act}${options}${how}`), " "]));
  $("acts").hidden = acts.length === 0;
}

export function drawCountdowns() {
  const at = now();
  for (const [index, message] of messages.entries()) {
    if (message.status !== "pending") continue;
    const tr = $("list-rows").rows[index];
    const left = micros(message.due) - at;
    put(tr.cells[0], countdown(left));
    const is = left < -DUE_S * 1e6 ? "overdue" : "";
    if (tr.className !== is) tr.className = is;
  }
}

/** Soon, because something happened; a page that is busy is not asked for more than it can show. */
export function refreshSoon() {
  if (document.hidden || asking || performance.now() < restUntil || document.querySelector("dialog[open]")) return false;
  load();
  return true;
}

/** How many there are, on the tabs of which that is known. */
export function drawCounts(counts) {
  for (const tab of $("tabs").children) {
    const n = counts[tab.dataset.status];
    put(tab.lastElementChild, n ? ` ${count(n)}` : "");
  }
}

$("tabs").replaceChildren(...TABS.map(([status, name]) => {
  const tab = make("button", { type: "button", "data-status": status }, name, make("span", { className: "n" }));
  tab.addEventListener("click", () => {
    const query = current();
    query.set("status", status);
    show(query);
  });
  return tab;
}));

$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ status: filter.get("status") || "" });
  for (const name of FIELDS.slice(1)) {
    const value = $("filters").elements[name].value.trim();
    if (value) query.set(name, name === "from" || name === "to" ? new Date(value).toISOString() : value);
  }
  show(query);
});
$("clear").addEventListener("click", () => show(new URLSearchParams({ status: "pending" })));
$("previous").addEventListener("click", () => {
  if (cursors.length > 1) cursors.pop();
  load();
});
$("next").addEventListener("click", () => {
  if (next) cursors.push(next);
  load();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.filter");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  show(new URLSearchParams(new URL(link.href).search));
  $("h-list").scrollIntoView();
});
addEventListener("popstate", () => {
  readAddress();
  load();
});

/** The row that the keys are at. */
const here = () => document.activeElement?.closest?.("#list-rows tr");
function move(by) {
  const rows = [...$("list-rows").rows];
  const at = rows.indexOf(here());
  rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))]?.querySelector("a.id").focus();
}
onKey("j", "Next message of the list", () => move(1));
onKey("k", "Previous message of the list", () => move(-1));

readAddress();
load();
