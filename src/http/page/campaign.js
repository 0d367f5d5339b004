// A campaign: its messages as their recipients will see them, and what is decided about these.

import { actor, ask, mayAct, post, report } from "./acts.js";
import { $, begin, isLost, make, messageLink, now, onKey, put } from "./shell.js";
import { count, counted, dateTime, micros } from "./words.js";

const { id } = $("main").dataset;
const API = `/api/campaigns/${id}`;
const AGAIN_MS = 10_000;
const ROWS = 25;

/** Each tab: its statuses, its name, and what it says where it is empty. */
const TABS = [["SUG", "To decide", "Nothing is left to be decided."], ["APR", "Approved", "Nothing is approved and waits to be scheduled."],
  ["REJ", "Rejected", "Nothing was rejected."], ["SCH", "Scheduled", "Nothing waits to be sent."],
  ["sent", "Sent", "Nothing was sent."], ["failed,cancelled,unconfirmed,deleted", "Not sent", "Nothing failed or was cancelled."], ["", "All", "It has no messages."]];

/** What can be decided in which status. */
const DECISIONS = [
  { name: "approve", title: "Approve", past: "approved", of: ["SUG", "REJ"], says: "What is approved can be scheduled, as it is now." },
  { name: "reject", title: "Reject", past: "rejected", of: ["SUG", "APR"], says: "What is rejected is not scheduled. It can be approved later." },
];

const STATUS = { SUG: ["off", "to decide"], APR: ["good", "approved"], REJ: ["bad", "rejected"], SCH: ["good", "scheduled"], sent: ["good", "sent"],
  failed: ["bad", "failed"], cancelled: ["warn", "cancelled"], unconfirmed: ["bad", "unconfirmed"], deleted: ["warn", "its row was deleted"] };
const LAMPS = { draft: "off", scheduled: "good", paused: "warn", done: "good", cancelled: "bad" };

let campaign = null;
let tab = "SUG";
let find = "";
/** Where the pages begin, up to the one that is shown. */
let pages = [0];
let next = null;
let messages = [];
/** The selected messages: positions, and what each was when it was selected. */
let chosen = new Map();
/** What is shown, by position, since the tab, the search or the page was chosen: what was decided about stays in its place. */
let shownHere = new Map();
/** Positions of messages that were changed since they are shown, until that is acknowledged. */
let changed = new Set();
let asking = false;
let again = false;
/** What is paused of it: itself, everything, or nothing. */
let pause = "";

const plural = (n) => counted(n, "message");
const shown = (at) => dateTime(micros(at), now());

/** What was seen: another text is not decided about. */
const asSeen = (those) => those.map(({ position, seen }) => `${position}@${seen}`).join(",");

const gap = (from, to, unit = 60) => (from === to ? `${+(from / unit).toFixed(2)}` : `${+(from / unit).toFixed(2)} to ${+(to / unit).toFixed(2)}`);

function drawCampaign() {
  const { name, state, hours, timezone, from_number: from, created_by: by, created_at: at } = campaign;
  document.title = `${name} · Punctual`;
  $("state").dataset.is = LAMPS[state] || "warn";
  put("state", `${name}: ${state}${state === "paused" && pause === "all" ? " with everything else" : ""}`);
  const skips = campaign.skip_per_mille ? `, now and then ${gap(campaign.skip_min_s, campaign.skip_max_s)} min more` : "";
  put("what", `${hours} ${timezone}; ${gap(campaign.gap_min_s, campaign.gap_max_s)} min apart${skips}${from ? `; from ${from}` : ""}. Made by ${by}, ${shown(at)}.`);
  const order = Object.keys(STATUS);
  const counts = campaign.messages.sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status)).map(({ status, messages: n, last_at: last }) => `${count(n)} ${STATUS[status]?.[1] || status}${status === "SCH" && last ? `, the last one due ${shown(last)}` : ""}`);
  put("counts", `${counts.join(" · ") || "It has no messages"}.`);
  for (const button of mayAct ? $("tabs").children : []) {
    const of = button.dataset.status.split(",");
    const n = campaign.messages.filter(({ status }) => button.dataset.status === "" || of.includes(status)).reduce((sum, one) => sum + one.messages, 0);
    put(button.lastElementChild, n ? ` ${count(n)}` : "");
  }
  drawDo();
}

/** As a shell reads it back. */
const quoted = (text) => (/^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** What can be done with all of it: buttons, and the commands of what is not done here. */
function drawDo() {
  const { name, state } = campaign;
  const approved = campaign.messages.some(({ status }) => status === "APR");
  if ($("do").dataset.is === `${state} ${approved} ${pause}`) return;
  $("do").dataset.is = `${state} ${approved} ${pause}`;
  const commands = approved && state !== "cancelled" ? [`punctual campaign preview ${quoted(name)}`, `punctual campaign schedule ${quoted(name)}`] : [];
  const acts = [];
  if (state === "paused" && pause === "own") acts.push(["Resume…", offerResume]);
  else if (state === "scheduled") acts.push(["Pause…", offerPause]);
  if (state !== "cancelled" && state !== "done") acts.push(["Cancel campaign…", offerCancel]);
  $("do").replaceChildren(...(mayAct ? acts : []).map(([words, then]) => {
    const button = make("button", { type: "button" }, words);
    button.addEventListener("click", then);
    return button;
  }), ...commands.map((command) => make("code", {}, command)));
}

function offerPause() {
  ask({ title: `Pause ${campaign.name}?`, says: "Nothing more of it is sent until it is resumed. What is being sent now is finished.", button: "Pause",
    fields: [["until", "Until (optional)", "datetime-local"], ["why", "Reason (optional)", "text"]] }, async (given) => {
    const paused = await post("/api/pause", { ...given, campaign: id });
    if (!paused.error) report(`Paused: ${campaign.name}.`);
    load();
    return { wrong: paused.error, isOver: paused.isUnknown };
  });
}

/** Ends its pause. If that cancels messages that have expired, it is confirmed first. */
function offerResume() {
  let confirm;
  ask({ title: `Resume ${campaign.name}?`, says: "What waited is sent first, in its order and with the gaps of the campaign.", button: "Resume" }, async (given) => {
    const resumed = await post("/api/resume", { ...given, ...(confirm !== undefined && { confirm }), campaign: id });
    confirm = resumed.messages;
    if (confirm !== undefined) put("act-do", `Resume, and cancel ${plural(confirm)}`);
    await load();
    if (!resumed.error) report(`Resumed: ${campaign.name}, which is ${campaign.state}${pause === "all" ? ", because everything is paused" : ""}.`);
    return { wrong: resumed.error, isOver: resumed.isUnknown };
  });
}

/** Cancels what is left of it, once it is known how much that is. */
async function offerCancel() {
  const preview = await post(`${API}/cancel`, {});
  // Another dialog was opened meanwhile.
  if ($("act").open) return;
  const n = preview.messages;
  ask({ title: `Cancel ${campaign.name}?`, button: "Cancel campaign",
    says: `For good: ${n === undefined ? "its messages" : plural(n)} that ${n === 1 ? "is" : "are"} still to be sent will not be, and nothing more of it can be scheduled.` }, n === undefined ? null : async (given) => {
    const done = await post(`${API}/cancel`, { ...given, confirm: n });
    if (!done.error) report(`Cancelled: ${campaign.name}, and ${plural(done.changed)}.`);
    load();
    return { wrong: done.error, isOver: !done.isInvalid };
  });
  put("act-error", preview.error || "");
}

function bubble({ text, segments }, n, of) {
  return make("li", {}, make("p", { className: "bubble", dir: "auto" }, text),
    make("p", { className: "aside" }, `${of > 1 ? `part ${n + 1} of ${of} · ` : ""}${counted([...text].length, "character")} · ${counted(segments.count, "segment")} (${segments.encoding})`));
}

/** What it costs, when and by whom it was decided, and what became of it. */
function fate(message) {
  const words = message.parts.length > 1 ? [`${counted(message.parts.length, "part")}, billed as ${counted(message.segments, "segment")}`] : [];
  if (message.decided_by) words.push(`${message.status === "REJ" ? "rejected" : "approved"} by ${message.decided_by}, ${shown(message.decided_at)}`);
  if (message.sent_at) words.push(`sent ${shown(message.sent_at)}`);
  else if (message.due_at) words.push(`due ${shown(message.due_at)}`);
  if (message.reason) words.push(message.reason);
  return words.join(" · ");
}

function card(message) {
  const { position, customer_name: name, phone_number: number, status, parts, isPast } = message;
  const [is, words] = STATUS[status] || ["warn", status];
  const box = make("input", { type: "checkbox", checked: chosen.has(position), "aria-label": `Select message ${position}` });
  box.addEventListener("change", () => choose(message, box.checked));
  const decidable = !isPast && DECISIONS.some((one) => one.of.includes(status));
  const button = (title, then, what) => {
    const node = make("button", { type: "button", "data-act": what, "aria-label": `${title} message ${position}` }, title);
    node.addEventListener("click", then);
    return node;
  };
  const acts = decidable ? DECISIONS.filter((one) => one.of.includes(status)).map((one) => button(one.title, () => decideOne(one, message), one.name)) : [];
  if (decidable) acts.push(button("Edit…", () => edit(message), "edit"));
  const note = isPast ? isPast : changed.has(position) ? "It was changed since you saw it: look at it again." : "";
  return make("li", { className: isPast ? "text past" : "text", "data-position": position, tabIndex: -1, "aria-label": `Message ${position}, ${name || "no name"}, ${isPast || words}` },
    make("div", { className: "whom" }, decidable ? make("label", { className: "who" }, box, `${position}`) : make("span", {}, `${position}`),
      make("b", { dir: "auto" }, name || "(no name)"), make("span", { className: "number" }, number), make("span", { className: "lamp", "data-is": is }, words),
      message.id ? messageLink(message.id) : null),
    make("ol", { className: "bubbles" }, ...parts.map((part, n) => bubble(part, n, parts.length))),
    make("p", { className: "aside" }, fate(message)),
    note ? make("p", { className: "changed" }, note) : null,
    make("div", { className: "choice" }, ...acts));
}

function choose({ position, seen }, is) {
  if (is) {
    chosen.set(position, seen);
    changed.delete(position);
  } else chosen.delete(position);
  drawActs();
}

const picked = () => messages.filter(({ position, isPast }) => !isPast && chosen.has(position));

/** What can be decided about the selected messages, or about all that match. */
function drawActs() {
  const some = picked();
  const statuses = some.length > 0 ? [...new Set(some.map(({ status }) => status))] : tab.split(",");
  const acts = !messages.some(({ isPast }) => !isPast) || tab === "" && some.length === 0 ? [] : DECISIONS.filter((one) => statuses.every((status) => one.of.includes(status)));
  $("acts").replaceChildren(...acts.map((one) => {
    const button = make("button", { type: "button", "data-act": one.name, disabled: isLost() }, `${one.title} ${some.length === 0 ? "all that match" : `${count(some.length)} selected`}…`);
    button.addEventListener("click", () => (picked().length > 0 ? decideSome(one, picked()) : decideAll(one)));
    return button;
  }));
  $("acts").hidden = acts.length === 0;
}

function draw(trouble) {
  const at = document.activeElement?.closest?.("#texts > li")?.dataset.position;
  const act = document.activeElement?.dataset?.act;
  $("texts").replaceChildren(...messages.map(card));
  const own = at && $("texts").querySelector(`[data-position="${at}"]`);
  if (own) (own.querySelector(`[data-act="${act}"]`) || own).focus();
  const empty = messages.length === 0;
  put("none", trouble || (empty ? (find ? "Nothing matches." : TABS.find(([status]) => status === tab)[2]) : ""));
  $("paging").hidden = pages.length < 2 && !next;
  $("previous").disabled = pages.length < 2;
  $("next").disabled = !next;
  put("place", pages.length > 1 || next ? `Page ${pages.length}` : "");
  drawActs();
}

/** A page as it is now, beside what was shown of it: nothing moves under the pointer, and what has changed is marked. */
function merge(found) {
  const isFirst = shownHere.size === 0;
  const here = new Map(found.map((message) => [message.position, message]));
  for (const [position, message] of here) {
    const before = shownHere.get(position);
    if (before && !before.isPast && before.seen !== message.seen) {
      changed.add(position);
      chosen.delete(position);
    }
    // What comes up from the next page has its turn there.
    if (isFirst || before) shownHere.set(position, message);
  }
  for (const [position, message] of shownHere) if (!here.has(position) && !message.isPast) shownHere.set(position, { ...message, isPast: "It is not in this list any more." });
  for (const [position, { isPast }] of shownHere) if (isPast) chosen.delete(position);
  messages = [...shownHere.values()].sort((a, b) => a.position - b.position);
}

async function loadMessages() {
  if (!mayAct) return;
  if (asking) {
    again = true;
    return;
  }
  const [own, query] = [`${tab} ${find} ${pages}`, new URLSearchParams({ after: pages.at(-1), limit: ROWS })];
  if (tab) query.set("status", tab);
  if (find) query.set("q", find);
  asking = true;
  const answer = await fetch(`${API}/messages?${query}`).catch(() => null);
  const page = answer?.ok ? await answer.json().catch(() => null) : null;
  asking = false;
  if (again || own !== `${tab} ${find} ${pages}`) {
    again = false;
    loadMessages();
  } else if (page) {
    merge(page.messages);
    // After what is shown here: what comes up from the next page meanwhile is there.
    const last = Math.max(0, ...shownHere.keys());
    next = page.next !== null || page.messages.some(({ position }) => position > last) ? last : null;
    draw();
  } else {
    draw("The messages cannot be read now.");
  }
}

/** A line of who did what. */
function line({ at, who, role, was, status, messages: n, first, last }) {
  const verb = was === status ? "changed" : status === "SUG" ? "changed, and so no longer approved:" : STATUS[status]?.[1] || status;
  const which = first === last ? `message ${first}` : `${plural(n)} (${first} to ${last})`;
  return make("li", { "data-tone": status === "REJ" ? "bad" : status === "SUG" ? "warn" : "good" },
    make("time", { dateTime: at }, shown(at)), make("span", {}, `${who || role} ${verb} ${which}`));
}

const read = (path) => fetch(path).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

async function loadDecisions() {
  const decisions = await read(`${API}/decisions`);
  if (!decisions) return;
  const lines = decisions.map(line);
  $("line").replaceChildren(...(lines.length > 0 ? lines : [make("li", {}, make("span", {}, "Nobody has decided anything yet."))]));
}

async function loadCampaign() {
  const found = await read(API);
  if (!found) {
    if (!campaign) put("state", "This campaign cannot be read: there may be none.");
    return;
  }
  const pauses = found.state === "paused" ? (await read("/api/pauses")) || [] : [];
  pause = pauses.some(({ scope, what }) => scope === "campaign" && what === id) ? "own" : pauses.some(({ what }) => what === "") ? "all" : "";
  campaign = found;
  drawCampaign();
}

const load = () => Promise.all([loadMessages(), loadCampaign(), loadDecisions()]);

/** After a decision about several: the list as it is now, from its beginning. */
function decided() {
  show(tab, find);
  loadCampaign();
  loadDecisions();
}

/** Decides about one message as it was seen: that can be taken back, so it is not confirmed. */
async function decideOne(one, message) {
  const { position, seen, status } = message;
  if (isLost()) return;
  if (changed.delete(position)) {
    // The first click has seen that it was changed.
    draw();
    return;
  }
  for (const button of $("texts").querySelectorAll(`[data-position="${position}"] button`)) button.disabled = true;
  const query = { rows: `${position}@${seen}`, status, confirm: 1, ...(actor() && { by: actor() }) };
  const done = await post(`${API}/${one.name}`, query);
  const name = message.customer_name ? ` (${message.customer_name})` : "";
  report(done.error ? `Message ${position} was not ${one.past}: ${done.messages === 0 ? "it was changed or decided about meanwhile. Look at it again." : done.error}` : `Message ${position}${name} ${one.past}.`);
  const own = shownHere.get(position);
  if (!done.error && own) {
    shownHere.set(position, { ...own, status: one.name === "approve" ? "APR" : "REJ", decided_by: null, isPast: `You have ${one.past} it.` });
    messages = [...shownHere.values()].sort((a, b) => a.position - b.position);
  }
  chosen.delete(position);
  draw();
  load();
}

const describe = ({ position, customer_name: name, parts }) => `${position} ${name || ""}: ${parts[0]?.text.slice(0, 60) || ""}${parts.length > 1 ? ` … (${counted(parts.length, "part")})` : ""}`;

function sampleOf(some, n) {
  const sample = some.slice(0, 5).map(describe);
  if (n > sample.length) sample.push(`and ${count(n - sample.length)} more`);
  return sample;
}

const segmentsOf = (some) => counted(some.reduce((sum, { segments }) => sum + segments, 0), "segment");

/** Decides about the selected messages, as they were when they were selected. */
function decideSome(one, some) {
  const title = `${one.title} ${plural(some.length)}?`;
  const seen = some.map(({ position }) => ({ position, seen: chosen.get(position) }));
  ask({ title, says: `${one.says} They are billed as ${segmentsOf(some)}.`, sample: sampleOf(some, some.length), button: one.title }, async (given) => {
    const query = { ...given, rows: asSeen(seen), status: [...new Set(some.map(({ status }) => status))], confirm: some.length };
    const done = await post(`${API}/${one.name}`, query);
    if (!done.error) {
      report(`${plural(done.changed)} ${one.past}.`);
      decided();
    } else load();
    return { wrong: done.messages === undefined || !done.error ? done.error : "Some were changed or decided about meanwhile, and nothing was done: look at them again.", isOver: Boolean(done.error) && !done.isInvalid };
  });
}

/** Decides about all that match, once it is known which these are: they are confirmed by their number, and as they are then. */
async function decideAll(one) {
  const [own, text, first] = [tab, find, messages.filter(({ isPast }) => !isPast)];
  const query = { status: own, ...(text && { q: text }) };
  const preview = await post(`${API}/${one.name}`, query);
  // Another dialog was opened meanwhile, or another list.
  if ($("act").open || own !== tab || text !== find) return;
  const n = preview.messages;
  const what = text ? `all with “${text}”` : "all";
  ask({ title: `${one.title} ${what}${n === undefined ? "" : `: ${plural(n)}`}?`, says: one.says, sample: sampleOf(first, n ?? 0), button: `${one.title} ${n === undefined ? "" : plural(n)}` }, n > 0 ? async (given) => {
    const done = await post(`${API}/${one.name}`, { ...given, ...query, confirm: n, seen: preview.seen });
    if (!done.error) report(`${plural(done.changed)} ${one.past}.`);
    decided();
    return { wrong: done.error, isOver: Boolean(done.error) && !done.isInvalid };
  } : null);
  put("act-error", preview.error || "");
}

/** Changes name, number and text. */
function edit(message) {
  const { position, seen } = message;
  ask({ title: `Edit message ${position}`, button: "Save",
    says: message.status === "APR" ? "It has to be approved again afterwards." : "A marker in the text divides it into parts.",
    fields: [["customer_name", "Name", "text", "", message.customer_name || ""], ["phone_number", "Number", "text", "+15555550100", message.phone_number], ["content", "Text", "textarea", "", message.content]] }, async ({ by, ...given }) => {
    const done = await post(`${API}/messages/${position}/edit`, by ? { by } : {}, { customer_name: null, phone_number: "", content: "", ...given, seen });
    if (!done.error) report(`Message ${position} was changed${done.was_approved ? ", and has to be approved again" : ""}.`);
    // Its own change is seen.
    if (!done.error) shownHere.delete(position);
    if (!done.error && (tab === "" || done.message.status === message.status)) shownHere.set(position, done.message);
    load();
    return { wrong: done.error, isOver: Boolean(done.error) && !done.isInvalid };
  });
}

/** Shows another page: nothing of the one before stays. */
function turn(to) {
  pages = to;
  next = null;
  messages = [];
  chosen = new Map();
  shownHere = new Map();
  changed = new Set();
}

function show(status, text) {
  tab = status;
  find = text;
  turn([0]);
  for (const button of $("tabs").children) button.setAttribute("aria-pressed", button.dataset.status === tab);
  loadMessages();
}

/** Moves the keys from message to message. */
function move(by) {
  const cards = [...$("texts").children];
  const at = cards.indexOf(document.activeElement?.closest?.("#texts > li"));
  cards[at < 0 ? 0 : Math.max(0, Math.min(cards.length - 1, at + by))]?.focus();
}
const press = (what) => document.activeElement?.closest?.("#texts > li")?.querySelector(what)?.click();

if (mayAct) {
  $("tabs").replaceChildren(...TABS.map(([status, name]) => {
    const button = make("button", { type: "button", "data-status": status, "aria-pressed": status === tab }, name, make("span", { className: "n" }));
    button.addEventListener("click", () => show(status, find));
    return button;
  }));
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    show(tab, $("find-text").value.trim());
  });
  $("previous").addEventListener("click", () => {
    if (pages.length > 1) turn(pages.slice(0, -1));
    loadMessages();
  });
  $("next").addEventListener("click", () => {
    if (next) turn([...pages, next]);
    loadMessages();
  });
  onKey("j", "Next message", () => move(1));
  onKey("k", "Previous message", () => move(-1));
  onKey("a", "Approve it", () => press('[data-act="approve"]'));
  onKey("r", "Reject it", () => press('[data-act="reject"]'));
  onKey("e", "Edit it", () => press('[data-act="edit"]'));
  onKey("x", "Select it, or not", () => press("input"));
}

begin(() => {});
load();
/** Again after a while, and not more than a tenth of the time. */
async function follow() {
  const began = performance.now();
  if (!document.hidden && !isLost() && !document.querySelector("dialog[open]")) await Promise.all([loadMessages(), loadCampaign()]);
  setTimeout(follow, Math.max(AGAIN_MS, 10 * (performance.now() - began)));
}
setTimeout(follow, AGAIN_MS);
