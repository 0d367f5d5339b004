// The live page: fills what the server rendered with what the stream brings.

import { atMost, dial, histogram, note, peak, strip, within } from "./draw.js";
import { drawFeed } from "./feed.js";
import { $, begin, isLost, local, make, messageLink, now, onConnection, onKey, put } from "./shell.js";
import { drawSystem } from "./system.js";
import { count, countdown, dateTime, DUE_S, micros, span, then, time } from "./words.js";

const INSTANCES_EVERY_MS = 5_000;
const LAMPS = { all: "good", part: "warn", paused: "warn", nothing: "bad" };

let state = null;
let period = "hour";

function drawNow() {
  $("ready").dataset.is = isLost() ? "off" : LAMPS[state.status.is];
  put("ready", isLost() ? `Connection lost. Last known: ${local(state.status.text)}` : local(state.status.text));
  const { armed, beyond, until } = state.window;
  const next = state.timers[0];
  const words = [`${count(armed)} ${armed === 1 ? "message waits" : "messages wait"}` + (until ? ` until ${time(micros(until))}` : "")];
  if (beyond) words.push(`${count(beyond)} later`);
  if (next) words.push(`the next at ${dateTime(micros(next.due_at), now())}`);
  put("waiting", armed === 0 && !beyond ? "No message waits." : `${words.join(", ")}.`);
}

async function drawInstances() {
  if (document.hidden || isLost()) return;
  const answer = await fetch("/api/instances").catch(() => null);
  if (!answer?.ok) return;
  const { instances, own } = await answer.json();
  const words = instances.map((one) => {
    const name = one.id.slice(0, 8) + (one.id === own ? " (this page)" : "");
    if (!one.is_running) return `${name} silent for ${span(one.silent_us)}`;
    return one.may_claim ? name : `${name} too old for the schema: sends nothing`;
  });
  const running = instances.filter((one) => one.is_running).length;
  put("instances", `${running} ${running === 1 ? "instance runs" : "instances run"}: ${words.join(", ")}`);
}

/** What people have to look at, each with what can be done. */
function drawNeeds() {
  const messages = (n) => `${count(n)} ${n === 1 ? "message" : "messages"}`;
  const needs = [];
  if (state.in_doubt > 0) {
    needs.push([`${messages(state.in_doubt)} unconfirmed`, "It is not known whether they were sent. Look them up, then decide:", "punctual resolve ID --sent | --resend | --cancel"]);
  }
  if (state.restore.held_before !== null) {
    const held = state.restore.held === null ? "Messages" : messages(state.restore.held);
    needs.push([`${held} in quarantine`, `The database was restored. What was due before ${time(micros(state.restore.held_before))} may have been sent. To release all:`, "punctual run --accept-restore"]);
  }
  if (state.outbox > 0) {
    needs.push([`${count(state.outbox)} ${state.outbox === 1 ? "result" : "results"} not in your tables`, "Your tables refused them. Punctual keeps them and retries. The reason:", "punctual doctor"]);
  }
  if (state.duplicates > 0) needs.push([`${messages(state.duplicates)} sent twice`, "The provider accepted them more than once. Which:", "punctual doctor"]);
  const key = JSON.stringify(needs);
  $("needs").hidden = needs.length === 0;
  if ($("need-list").dataset.key === key) return;
  $("need-list").dataset.key = key;
  $("need-list").replaceChildren(...needs.map(([head, why, command]) => make("li", {}, make("b", {}, head), make("p", {}, why), make("code", {}, command))));
}

const isRefused = (timer) => state.lanes.some((lane) => lane.breaker.open && `${timer.lane}/`.startsWith(`${lane.account}/${lane.channel}/`));

function makeRow(id) {
  const row = make("tr", { "data-id": id }, make("td", { className: "num" }), make("td"), make("td", {}, messageLink(id)), make("td", { className: "then" }));
  return row;
}

function drawTimers() {
  const body = $("timers");
  const rows = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const wanted = state.timers.map((timer) => {
    const row = rows.get(timer.id) || makeRow(timer.id);
    row.dataset.due = micros(timer.due_at);
    row.dataset.state = timer.state;
    put(row.cells[1], dateTime(micros(timer.due_at), now()));
    put(row.cells[3], then(timer, isRefused(timer)));
    rows.delete(timer.id);
    return row;
  });
  for (const row of rows.values()) row.remove();
  wanted.forEach((row, index) => {
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  $("none").hidden = wanted.length > 0;
  const { armed, beyond } = state.window;
  put("armed", `${count(armed)} in memory` + (beyond ? ` · ${count(beyond)} later` : ""));
  put("more", armed > wanted.length ? `${count(armed - wanted.length)} more` : "");
  drawCountdowns();
}

function drawCountdowns() {
  const at = now();
  for (const row of $("timers").rows) {
    if (!row.dataset.due) continue;
    const left = Number(row.dataset.due) - at;
    put(row.cells[0], countdown(left));
    const is = left < -DUE_S * 1e6 ? "overdue" : "";
    if (row.className !== is) row.className = is;
  }
}

const WRONG = new Set(["failed", "unconfirmed", "refused", "throttled", "unsent", "rejected"]);

function noteEvents(frame) {
  const at = now();
  const each = (what, us, n) => {
    if (what === "sent") note(us, "sent", n);
    else if (WRONG.has(what)) note(us, "wrong", n);
  };
  for (const event of frame.events) each(event.event, micros(event.at), 1);
  for (const [what, n] of Object.entries(frame.more)) each(what, at, n);
}

function drawPunctuality() {
  const late = state.punctuality[period];
  const key = `${period} ${late.count} ${late.sum_us}`;
  if ($("histogram").dataset.key === key) return;
  $("histogram").dataset.key = key;
  const since = period === "hour" ? "in the last hour" : "in the last 24 hours";
  put("count", `${count(late.count)} ${late.count === 1 ? "request" : "requests"} ${since}, on this instance`);
  const figure = (us) => (late.count ? span(us) : "–");
  put("share", late.count ? `${Math.floor(atMost(late, 100_000) * 1000) / 10} %` : "–");
  put("p50", figure(within(late, 0.5)));
  put("p99", figure(within(late, 0.99)));
  put("max", figure(late.max_us));
  histogram($("histogram"), $("histogram-said"), late);
}

function draw() {
  if (!state || document.hidden) return;
  drawNow();
  drawNeeds();
  drawTimers();
  const most = strip($("strip"), $("ticks"), state.density, now());
  put("axis", `tallest bar: ${count(most)} in 5 s`);
  put("peak", peak(state.density));
  drawPunctuality();
  drawSystem(state);
  if (document.querySelector(".system").open) dial($("dial"), $("levels"), state.wheel);
}

let said = { at: 0, text: "" };
/** For screen readers: rarely, and only changes. */
function say(text) {
  const at = performance.now();
  if (text === said.text || at - said.at < 15_000) return;
  said = { at, text };
  put("said", text);
}

for (const button of document.querySelectorAll("[data-period]")) {
  button.addEventListener("click", () => {
    ({ period } = button.dataset);
    for (const each of document.querySelectorAll("[data-period]")) each.setAttribute("aria-pressed", each === button);
    if (state) drawPunctuality();
  });
}

/** The row that the keys `j` and `k` are at. */
function move(by) {
  const links = [...document.querySelectorAll("main tbody a.id")];
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
}
onKey("j", "Next message of the list", () => move(1));
onKey("k", "Previous message of the list", () => move(-1));

onConnection((lost) => {
  if (state) drawNow();
  say(lost ? "Connection lost. Reconnecting." : "Connected again.");
  if (!lost) drawInstances();
});
document.addEventListener("visibilitychange", () => {
  draw();
  drawInstances();
});
document.querySelector(".system").addEventListener("toggle", draw);

begin((frame) => {
  noteEvents(frame);
  if (frame.state) {
    state = frame.state;
    state.density.from_us = micros(state.density.from);
    draw();
    say(`${local(state.status.text)}. ${count(state.window.armed)} messages wait.`);
  }
  drawFeed(frame, now());
});
drawInstances();
setInterval(drawInstances, INSTANCES_EVERY_MS);
