// The messages of a filter, in pages. The filter is the address's query, so that a list can be linked and kept.

import { actNamed, actsOf, mayAct, offer, offerAll } from "./acts.js";
import { $, isLost, local, make, messageLink, now, onKey, put } from "./shell.js";
import { capital, count, countdown, dateTime, DUE_S, micros, plain, withReason } from "./words.js";

const ROWS = 25;
/** At most so often, and not more than a tenth of the time. */
const AGAIN_MS = 2_000;
const FIELDS = ["q", "from", "to", "reason", "user", "campaign", "template"];
/** Each tab: its status, its name, and what it says where it is empty. */
const TABS = [["pending", "Upcoming", "No upcoming messages."], ["sending", "Being sent", "No message is being sent."],
  ["sent,delivered", "Sent", "No message was sent."], ["failed", "Failed", "No message failed."],
  ["unconfirmed", "Unconfirmed", "No message is unconfirmed."], ["cancelled", "Cancelled", "No message was cancelled."], ["", "All", "No messages."]];

let filter = new URLSearchParams();
let cursors = [""];
let next = null;
let messages = [];
/** What they are the answer to. */
let read = "";
/** Whether they could not be read again: then it is not known what will happen to them. */
let isOld = false;
/** Ids of the messages that are selected. */
let chosen = new Set();
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
  chosen = new Set();
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
  query.set("forecast", 1);
  const cursor = cursors.at(-1);
  if (cursor) query.set("cursor", cursor);
  const own = filter;
  asking = fetch(`/api/messages?${query}`).catch(() => null);
  const answer = await asking;
  // It may break off in the middle.
  const page = answer?.ok ? await answer.json().catch(() => null) : null;
  asking = null;
  restUntil = performance.now() + Math.max(AGAIN_MS, 10 * (performance.now() - began));
  if (own !== filter || cursor !== cursors.at(-1)) {
    load();
  } else if (page) {
    ({ messages, next } = page);
    [read, isOld] = [query.toString(), false];
    draw();
  } else {
    const why = answer && !answer.ok ? await reason(answer) : "Punctual does not respond.";
    // What was read before stays, as the rest of the page does, unless it is of another filter.
    const stays = read === query.toString() && answer?.status !== 400;
    if (!stays) [messages, next] = [[], null];
    isOld = messages.length > 0;
    draw(isOld ? `${why} What is listed is older.` : why);
  }
}

/** Why a request was refused. */
async function reason(answer) {
  const text = (await answer.text()).trim();
  try {
    return `${capital(JSON.parse(text).error)}.`;
  } catch {
    return capital(text);
  }
}

const OUTCOME = { pending: "Waiting", sent: "Sent", delivered: "Delivered", sending: "Being sent", failed: "Failed", cancelled: "Cancelled", unconfirmed: "Unconfirmed" };

/** What keeps all messages from being sent: the top of the page says it at length, and the page of the message. */
const SHORT = { breaker: "Waits: the provider refuses the account", no_daemon: "Waits: no daemon is running", not_ready: "Waits: no daemon is ready", quarantine: "In quarantine" };

/** Whether it will be sent when it is due, as most are. */
const isUsual = ({ forecast, due }) => !isOld && forecast?.outcome === "send" && forecast.at === due && !forecast.reason;

/** What has happened to a message, or what will, in words. */
function fate(message) {
  const { forecast } = message;
  if (forecast && isOld) return "Not known now";
  if (isUsual(message)) return "Will be sent";
  if (forecast?.outcome === "wait" && SHORT[forecast.reason]) return SHORT[forecast.reason];
  // Who paused it, and why, is said at the top.
  if (forecast?.reason === "paused") return capital(local(forecast.text).replace(/^is paused/, "paused").replace(/ \(.*/, ""));
  if (forecast) return capital(local(forecast.text));
  const why = message.detail || plain(message.reason);
  return withReason(OUTCOME[message.status] || message.status, why);
}

function row(message) {
  const id = [messageLink(message.id)];
  if (actsOf(message.status).length > 0) {
    const box = make("input", { type: "checkbox", "aria-label": `Select ${message.id.slice(0, 8)}`, checked: chosen.has(message.id) });
    box.addEventListener("change", () => choose(message.id, box.checked));
    id.unshift(box);
  }
  // It is known why it waits: that it is overdue is no alarm.
  const waits = message.forecast?.outcome === "wait" || message.forecast?.reason ? { "data-waits": "" } : {};
  return make("tr", { "data-id": message.id, "data-status": message.status, ...waits },
    make("td", { className: "num" }),
    make("td", {}, dateTime(micros(message.due), now())),
    make("td", { className: "who" }, ...id),
    make("td", { className: "to" }, message.to),
    make("td", { className: isUsual(message) ? "then usual" : "then" }, fate(message)),
    make("td", { className: "type" }, plain(message.message_type)));
}

/** That the list is empty. */
function nothing() {
  if (FIELDS.some((name) => filter.get(name))) return "No messages match.";
  return TABS.find(([status]) => status === (filter.get("status") || ""))?.[2] || "No messages match.";
}

function draw(trouble = "") {
  const body = $("list-rows");
  // Who reads a row by keyboard stays on it.
  const at = document.activeElement?.closest?.("#list-rows tr")?.dataset.id;
  const tag = document.activeElement?.tagName === "INPUT" ? "input" : "a";
  for (const id of chosen) if (!messages.some((message) => message.id === id)) chosen.delete(id);
  body.replaceChildren(...messages.map(row));
  if (at) body.querySelector(`tr[data-id="${at}"] ${tag}`)?.focus();
  const isEmpty = messages.length === 0 && !next;
  put("none", trouble || (isEmpty ? nothing() : ""));
  $("list").hidden = isEmpty;
  $("paging").hidden = cursors.length < 2 && !next;
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

/** As a shell reads it back. */
const quoted = (text) => (/^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function choose(id, is) {
  if (is) chosen.add(id);
  else chosen.delete(id);
  drawActs();
}

const picked = () => messages.filter((message) => chosen.has(message.id));

/** After an act: the list as it is now. */
function acted() {
  chosen = new Set();
  load();
}

/** Buttons for what can be done with the selected messages, or with all that match. */
function drawButtons() {
  const some = picked();
  const statuses = new Set(some.map((message) => message.status));
  const acts = some.length === 0 ? actsOf(filter.get("status")) : statuses.size === 1 ? actsOf(some[0].status) : [];
  const key = `${acts.map((act) => act.name)} ${some.length} ${messages.length > 0}`;
  if ($("acts").dataset.key === key) return;
  $("acts").dataset.key = key;
  $("acts").replaceChildren(...(messages.length === 0 ? [] : acts).map((act) => {
    const button = make("button", { type: "button", "data-act": act.name }, `${act.title} ${some.length === 0 ? "all that match" : `${count(some.length)} selected`}…`);
    button.addEventListener("click", () => (picked().length > 0 ? offer(act, picked(), acted) : offerAll(act, current(), acted)));
    return button;
  }));
  $("acts").hidden = $("acts").childElementCount === 0;
}

/** What acts on all that match: buttons, or without the right to act the commands. */
function drawActs() {
  if (mayAct) {
    drawButtons();
    return;
  }
  const acts = (messages.length > 0 && ACTS[filter.get("status")]) || [];
  const options = [...filter].filter(([name, value]) => value && (name === "status" || FIELDS.includes(name)))
    .map(([name, value]) => ` --${OPTIONS[name] || name} ${quoted(value)}`).join("");
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


/** Acts on what is selected, or else on the row that the keys are at. */
function press(...names) {
  const at = messages.find((message) => message.id === here()?.dataset.id);
  const some = picked().length > 0 ? picked() : at ? [at] : [];
  const name = names.find((one) => some.length > 0 && some.every((message) => message.status === actNamed(one).of));
  if (name) offer(actNamed(name), some, acted);
}
if (mayAct) {
  onKey("x", "Select the message, or not", () => here()?.querySelector("input")?.click());
  onKey("c", "Cancel the message, or what is selected", () => press("cancel"));
  onKey("r", "Reschedule, retry or resolve it", () => press("reschedule", "retry", "resolve"));
}

readAddress();
load();
