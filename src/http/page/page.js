// Updates the page with server-sent events. Without it the page is the snapshot that the server rendered.

import { dial, histogram, note, peak, strip } from "./draw.js";
import { find, open } from "./story.js";
import { count, countdown, dateTime, micros, short, span, tell, then, time, timeWithMillis, tone, zone } from "./words.js";

const $ = (id) => document.getElementById(id);
const FEED_MAX = 80;
const LINES_AT_ONCE = 12;
const LINES_AT_FIRST = 40;
const QUIET = matchMedia("(prefers-reduced-motion: reduce)").matches;

let state = null;
let lastFrameAt = performance.now();
let base = { us: 0, at: 0 };
let queue = [];
let summed = new Map();
let recentSent = [];
let seen = new Set();
const paused = { on: false };

/** The database's time, extrapolated from the latest frame. */
const now = () => base.us + (performance.now() - base.at) * 1000;
const put = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

function cell(row, index, text) {
  const node = row.cells[index];
  if (node.textContent !== text) node.textContent = text;
}

function makeRow(id) {
  const row = document.createElement("tr");
  row.dataset.id = id;
  for (const name of ["num", "", "", "then"]) {
    const node = document.createElement("td");
    if (name) node.className = name;
    row.append(node);
  }
  const link = document.createElement("a");
  link.className = "id";
  link.href = `/debug/messages/${id}`;
  link.textContent = short(id);
  link.title = id;
  row.cells[2].append(link);
  return row;
}

/** Whether the provider refuses the lane of a timer. */
const isRefused = (timer) => state.lanes.some((lane) => lane.breaker.open
  && `${timer.lane}/`.startsWith(`${lane.account}/${lane.channel}/`));

function drawTimers() {
  const body = $("timers");
  const rows = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const wanted = state.timers.map((timer) => {
    const row = rows.get(timer.id) || makeRow(timer.id);
    row.dataset.due = micros(timer.due_at);
    row.dataset.state = timer.state;
    cell(row, 1, dateTime(micros(timer.due_at), base.us));
    cell(row, 3, then(timer, { breaker: isRefused(timer) }));
    rows.delete(timer.id);
    return row;
  });
  for (const row of rows.values()) row.remove();
  wanted.forEach((row, index) => {
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  $("none").hidden = wanted.length > 0;
  const { armed, beyond } = state.window;
  put("armed", `${count(armed)} in memory` + (beyond ? `, ${count(beyond)} later` : ""));
  const rest = armed - wanted.length;
  put("more", rest > 0 ? `${count(rest)} more` : "");
  drawCountdowns();
}

function drawCountdowns() {
  const at = now();
  for (const row of $("timers").rows) {
    if (!row.dataset.due) continue;
    const left = Number(row.dataset.due) - at;
    cell(row, 0, countdown(left));
    row.classList.toggle("soon", left < 10e6);
  }
}

const HEALTH = [
  ["Change notifications", (s) => s.listener.connected
    ? ["good", `live since ${time(micros(s.listener.since))}` + (s.listener.last_notice_at ? `; the last one ${span(Math.max(0, Math.round(base.us - micros(s.listener.last_notice_at))))} ago` : "")]
    : ["bad", s.listener.since ? `lost since ${time(micros(s.listener.since))}` : "not verified yet"]],
  ["Clock", (s) => s.clock.offset_us === null ? ["bad", "not measured; sending is paused"]
    : ["good", `${s.clock.offset_us < 0 ? "−" : "+"}${span(Math.abs(s.clock.offset_us))} ± ${span(s.clock.uncertainty_us)} from the database's`]],
  ["Database", (s) => s.missing.some((m) => /database$/.test(m)) ? ["bad", "not connected"]
    : [s.database.waiting > 0 ? "warn" : "good", `${s.database.open} connections, ${s.database.idle} idle` + (s.database.waiting ? `, ${s.database.waiting} requests waiting` : "")]],
  ["Window", (s) => s.window.until ? ["good", `loaded until ${time(micros(s.window.until))}`] : ["warn", "loading"]],
  ["Provider", (s) => s.provider.count ? ["good", `responds in ${span(Math.round(s.provider.sum_us / s.provider.count))}` + (s.last_sent_at ? `; last accepted a message at ${time(micros(s.last_sent_at))}` : "; has accepted none yet")] : ["off", "no request yet"]],
  ["Account", (s) => s.breaker.open
    ? ["bad", `refused since ${time(micros(s.breaker.since))}: ${(s.breaker.category || "").replaceAll("_", " ")}${s.breaker.reason ? ` (${s.breaker.reason})` : ""}; next try ${time(micros(s.breaker.next_probe_at))}`]
    : ["good", "accepted"]],
  ["Quarantine", (s) => s.restore.held_before === null ? ["good", "empty"]
    : ["warn", `messages due before ${time(micros(s.restore.held_before))}` + (s.restore.held === null ? "; not checked yet" : `; ${count(s.restore.held)} at the last check`)]],
  ["Paces", (s) => ["good", s.paces.length ? pacesWords(s.paces) : "none"]],
  ["In flight", (s) => [s.load.permits < s.load.max_in_flight ? "warn" : "good", `${s.load.in_flight} requests (limit ${s.load.permits}); ${count(s.load.cleared)} claimed, ${count(s.load.unrecorded)} to record`]],
  ["Unconfirmed", (s) => s.in_doubt === null ? ["off", "not counted yet"] : s.in_doubt > 0 ? ["warn", `${count(s.in_doubt)} ${s.in_doubt === 1 ? "message" : "messages"}`] : ["good", "none"]],
  ["Sent twice", (s) => [s.duplicates > 0 ? "bad" : "good", s.duplicates ? `${count(s.duplicates)} ${s.duplicates === 1 ? "message" : "messages"}` : "none"]],
];

function drawHealth() {
  const list = $("health");
  if (list.childElementCount !== HEALTH.length) {
    list.replaceChildren(...HEALTH.map(([name]) => {
      const line = document.createElement("div");
      const dt = document.createElement("dt");
      dt.className = "lamp";
      dt.textContent = name;
      line.append(dt, document.createElement("dd"));
      return line;
    }));
  }
  HEALTH.forEach(([, judge], index) => {
    const line = list.children[index];
    const [is, text] = judge(state);
    line.firstChild.dataset.is = is;
    if (line.lastChild.textContent !== text) line.lastChild.textContent = text;
  });
}

/** What waits for its pace: the next few, the others counted. */
function pacesWords(paces) {
  const words = paces.slice(0, 3).map((pace) => `${pace.scope} ${pace.what}: the next about ${time(micros(pace.next_at))}`);
  if (paces.length > words.length) words.push(`${count(paces.length - words.length)} more`);
  return words.join("; ");
}

/** What a pause stops, and until when. */
function pauseWords(pause) {
  const kind = pause.scope.replaceAll("_", " ");
  const what = pause.scope === "everything" ? kind : pause.what ? `${kind} ${pause.what}` : `a ${kind}`;
  return `${what} until ${pause.until === "infinity" ? "somebody resumes" : dateTime(micros(pause.until), base.us)}`;
}

/** What is paused: a few in words, the others counted. */
function pausesWords(pauses) {
  const words = pauses.slice(0, 3).map(pauseWords);
  if (pauses.length > words.length) words.push(`${count(pauses.length - words.length)} more`);
  return words.join("; ");
}

/** The state of the daemon in one sentence. */
function status() {
  if (!state.ready) return `Not sending: ${state.missing.join("; ") || "not ready"}`;
  if (state.breaker.open) return "Sending is paused: the provider refuses the account";
  return state.pauses.length ? `Paused: ${pausesWords(state.pauses)}` : "Sending";
}

function drawState() {
  const ready = $("ready");
  ready.dataset.is = state.ready && !state.breaker.open && !state.pauses.length ? "good" : "warn";
  put("ready", status());
  drawTimers();
  drawStrip();
  put("peak", peak(state.density));
  const late = state.lateness_us;
  for (const name of ["p50", "p99", "max"]) put(name, late.count ? span(late[name]) : "–");
  put("count", late.count === 1 ? "1 request" : `${count(late.count)} requests`);
  histogram($("histogram"), $("histogram-said"), state.lateness, late);
  drawHealth();
  dial($("dial"), $("levels"), state.wheel);
  put("instance", state.instance);
}

const drawStrip = () => strip($("strip"), $("ticks"), state.density, now());

function drawLine(event, fresh) {
  const line = document.createElement("li");
  line.dataset.tone = tone(event);
  if (fresh) line.className = "new";
  const at = document.createElement("time");
  at.dateTime = event.at;
  at.textContent = timeWithMillis(micros(event.at));
  const what = document.createElement("span");
  what.className = "what";
  what.textContent = event.event;
  const link = document.createElement("a");
  link.className = "id";
  link.href = `/debug/messages/${event.id}`;
  link.textContent = short(event.id);
  link.title = event.id;
  const words = document.createElement("span");
  words.className = "tell";
  words.textContent = tell(event, base.us || micros(event.at));
  line.append(at, what, link, words);
  return line;
}

/** Called at most four times a second; adds a bounded number of lines and sums up the rest. */
function drawFeed() {
  const cutoff = performance.now() - 10_000;
  recentSent = recentSent.filter(([at]) => at > cutoff);
  const sent = recentSent.reduce((sum, [, n]) => sum + n, 0);
  put("rate", sent ? `${(sent / 10).toFixed(1)} sent per second` : "");
  if (paused.on || (queue.length === 0 && summed.size === 0)) return;
  const feed = $("feed");
  // More at first: nobody is reading yet.
  const most = feed.childElementCount === 0 ? LINES_AT_FIRST : LINES_AT_ONCE;
  const shown = queue.slice(-most);
  for (const event of queue.slice(0, -most)) sum(event.event, 1);
  queue = [];
  const lines = shown.map((event) => drawLine(event, !QUIET)).reverse();
  if (summed.size > 0) {
    const line = document.createElement("li");
    line.className = "summed";
    line.textContent = `+ ${[...summed].map(([what, n]) => `${count(n)} ${what}`).join(", ")} not shown`;
    lines.push(line);
    summed = new Map();
  }
  const away = feed.scrollTop > 8;
  const before = feed.scrollHeight;
  feed.prepend(...lines);
  // A reader who has scrolled down stays where they are.
  if (away) feed.scrollTop += feed.scrollHeight - before;
  while (feed.childElementCount > FEED_MAX) feed.lastElementChild.remove();
}

const sum = (what, n) => summed.set(what, (summed.get(what) || 0) + n);
const WRONG = new Set(["failed", "unconfirmed", "refused", "throttled", "unsent"]);

function chart(what, n, us) {
  if (what === "sent") {
    recentSent.push([performance.now(), n]);
    note(us, "sent", n);
  } else if (WRONG.has(what)) note(us, "wrong", n);
}

function happened(event) {
  // After a reconnect the server repeats recent events.
  const key = event.at + event.event + event.id;
  if (seen.has(key)) return;
  seen.add(key);
  if (seen.size > 2000) seen = new Set([...seen].slice(-500));
  chart(event.event, 1, micros(event.at));
  queue.push(event);
  if (queue.length > 400) sum(queue.shift().event, 1);
}

function more(frame) {
  for (const [what, n] of Object.entries(frame.more)) {
    sum(what, n);
    chart(what, n, now());
  }
  if (frame.dropped) sum("other events", frame.dropped);
}

const KINDS = ["armed", "moved", "edited", "disarmed", "watched", "claimed", "returned", "deferred", "cancelled", "rejected",
  "sent", "throttled", "unsent", "refused", "failed", "unconfirmed", "receipt"];

function connect() {
  const stream = new EventSource("/debug/events?state=1");
  for (const kind of KINDS) {
    stream.addEventListener(kind, (message) => { lastFrameAt = performance.now(); happened(JSON.parse(message.data)); });
  }
  stream.addEventListener("more", (message) => more(JSON.parse(message.data)));
  stream.addEventListener("state", (message) => {
    lastFrameAt = performance.now();
    state = JSON.parse(message.data);
    base = { us: micros(state.now), at: performance.now() };
    state.density.from_us = micros(state.density.from);
    put("zone", zone);
    drawState();
  });
  stream.addEventListener("error", () => {
    // The browser reconnects by itself, except after a response that is not a stream.
    if (stream.readyState === EventSource.CLOSED) {
      stream.close();
      setTimeout(connect, 2_000);
    }
  });
}

let said = { at: 0, text: "" };
/** For screen readers: rarely, and only changes. */
function say(text, at = performance.now()) {
  if (text === said.text || at - said.at < 15_000) return;
  said = { at, text };
  $("said").textContent = text;
}

function watch() {
  const silent = performance.now() - lastFrameAt;
  const lost = silent > 4_000;
  $("lost").hidden = !lost;
  document.body.classList.toggle("is-lost", lost);
  if (lost) {
    put("lost", `Connection lost ${Math.round(silent / 1000)} s ago. Showing the state as of ${time(base.us)}. Reconnecting…`);
    $("ready").dataset.is = "off";
    put("ready", "No connection");
    say("Connection lost. Reconnecting.");
  } else if (state) {
    say(`${status()}. ${count(state.window.armed)} upcoming. ${count(state.lateness_us.count)} sent.`);
  }
}

$("pause").addEventListener("click", () => {
  paused.on = !paused.on;
  put("pause", paused.on ? "Resume feed" : "Pause feed");
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find($("id").value, state);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.id");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  open(link.title);
});

$("feed").replaceChildren();
connect();
setInterval(drawFeed, 250);
setInterval(watch, 1_000);
setInterval(() => {
  if (!state) return;
  const at = now();
  put("now", time(at));
  $("now").dateTime = new Date(at / 1000).toISOString();
  drawCountdowns();
}, 100);
if (!QUIET) setInterval(() => state && !document.hidden && drawStrip(), 500);
