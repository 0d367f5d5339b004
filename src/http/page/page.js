// The live page: fills what the server rendered with what the stream brings.

import { actNamed, mayAct, offerAll, pauseName } from "./acts.js";
import { chartIsStale, drawChart, onBar } from "./chart.js";
import { atMost, dial, histogram, within } from "./draw.js";
import { drawFeed } from "./feed.js";
import { drawCountdowns, drawCounts, refreshSoon, show } from "./list.js";
import { $, begin, isLost, local, lostHow, make, now, onConnection, onSearch, put } from "./shell.js";
import { drawSystem } from "./system.js";
import { count, counted, dateTime, instanceName, micros, plain, span, time, whose } from "./words.js";

const INSTANCES_EVERY_MS = 5_000;
/** How often the database is asked why messages failed; and at most, while some do. */
const FAILURES_EVERY_MS = 10_000;
const FAILURES_REST_MS = 3_000;
const LAMPS = { all: "good", part: "warn", paused: "warn", nothing: "bad" };

let state = null;
let period = "hour";

function drawNow() {
  $("ready").dataset.is = isLost() ? "off" : LAMPS[state.status.is];
  put("ready", isLost() ? `${lostHow()}. Last known: ${local(state.status.text)}` : local(state.status.text));
  const { beyond, until } = state.window;
  // Without the database's count at least what is in memory.
  const waiting = state.window.waiting ?? state.window.armed;
  const next = state.timers[0];
  const parts = beyond ? `: ${count(waiting)} ${until ? `until ${time(micros(until))}` : "now"}, ${count(beyond)} later` : "";
  const then = next ? ` The next is due at ${dateTime(micros(next.due_at), now())}.` : "";
  const isKnown = state.window.waiting !== null || until !== null;
  const all = waiting + (beyond || 0);
  put("waiting", all > 0 ? `${counted(all, "message waits", "messages wait")}${parts}.${then}` : isKnown ? "No message waits." : "How many messages wait is not known now.");
}

/** Pauses that the page names; the others are counted, and in the dialog. */
const PAUSES_NAMED = 3;

/** Who has paused what, and why. */
async function drawPauses() {
  if (state.pauses.length === 0) {
    $("paused").hidden = true;
    return;
  }
  const answer = await fetch("/api/pauses").catch(() => null);
  const pauses = answer?.ok ? await answer.json().catch(() => null) : null;
  if (!pauses || isLost()) return;
  const words = pauses.slice(0, PAUSES_NAMED).map((pause) => `${pauseName(pause)} by ${pause.who} since ${dateTime(micros(pause.at), now())}${pause.why ? `: ${pause.why}` : ""}`);
  if (pauses.length > PAUSES_NAMED) words.push(`${count(pauses.length - PAUSES_NAMED)} more`);
  put("paused", `Paused: ${words.join("; ")}`);
  $("paused").hidden = pauses.length === 0;
}

async function drawInstances() {
  if (document.hidden || isLost()) return;
  const answer = await fetch("/api/instances").catch(() => null);
  if (!answer?.ok) {
    if (!isLost()) put("instances", "Which instances run cannot be read now.");
    return;
  }
  const { instances, own } = await answer.json();
  const words = instances.map((one) => {
    const name = instanceName(one.id) + (one.id === own ? " (this page)" : "");
    if (!one.is_running) return `${name} silent for ${span(one.silent_us)}`;
    if (!one.may_claim) return `${name} too old for the schema: sends nothing`;
    return one.missing.length > 0 ? `${name} sends nothing: ${one.missing.join("; ")}` : name;
  });
  const running = instances.filter((one) => one.is_running).length;
  put("instances", `${counted(running, "instance runs", "instances run")}: ${words.join(", ")}`);
}

let failures = [];
let failuresAsked = 0;
/** Why messages of today failed: the database is asked for it from time to time. */
async function askFailures() {
  if (document.hidden || isLost()) return;
  failuresAsked = performance.now();
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const from = midnight.toISOString();
  const answer = await fetch(`/api/stats?${new URLSearchParams({ by: "reason", status: "failed", from })}`).catch(() => null);
  if (!answer?.ok) return;
  failures = (await answer.json()).counts.map(({ key, messages }) => ({ key, messages, from }));
  if (state) drawNeeds();
}

/** What people have to look at, each with what can be done. */
function drawNeeds() {
  const messages = (n) => counted(n, "message");
  const needs = [];
  if (state.in_doubt > 0) {
    needs.push([`${messages(state.in_doubt)} unconfirmed`, `It is not known whether they were sent. Look them up at the provider${mayAct ? "." : ", then: punctual resolve ID --sent | --resend | --cancel"}`, "?status=unconfirmed", "resolve"]);
  }
  for (const { key, messages: n, from } of failures) {
    needs.push([`${messages(n)} failed today${key === "none" ? "" : `: ${plain(key)}`}`, mayAct ? "They are not sent unless somebody retries them." : `To send them after all: punctual retry --status failed --reason ${key}`, `?status=failed&reason=${key}&from=${from}`, "retry"]);
  }
  if (state.restore.held_before !== null) {
    const held = state.restore.held === null ? "Messages" : messages(state.restore.held);
    needs.push([`${held} in quarantine`, `The database was restored. What was due before ${time(micros(state.restore.held_before))} may have been sent. To release all: punctual run --accept-restore`, `?status=pending&to=${state.restore.held_before}`, "cancel"]);
  }
  if (state.outbox > 0) {
    needs.push([`${counted(state.outbox, "result")} not in your tables`, "Your tables refused them. Punctual keeps them and retries. The reason: punctual doctor", "", ""]);
  }
  if (state.number_faults > 0) {
    needs.push([`${messages(state.number_faults)} to numbers that may not receive texts`, "No country has assigned them, or they are premium-rate numbers or abroad. Correct to_number or PUNCTUAL_COUNTRIES, or cancel the messages. Which: punctual doctor, or the table punctual.number_faults", "", ""]);
  }
  for (const { scope, what } of state.pauses) {
    if (scope === "text") needs.push([`Equal texts held: ${what}`, `Too many texts to new numbers say the same. If they are meant, resume the pause text ${what}; if not, cancel them`, `?status=pending&q=text%3D${what}`, "cancel"]);
  }
  if (state.duplicates > 0) needs.push([`${messages(state.duplicates)} sent twice`, "The provider accepted them more than once. Which: punctual doctor", "", ""]);
  const key = JSON.stringify(needs);
  $("needs").hidden = needs.length === 0;
  if ($("need-list").dataset.key === key) return;
  $("need-list").dataset.key = key;
  $("need-list").replaceChildren(...needs.map(([head, why, query, act]) => make("li", {}, make("b", {}, head), make("p", {}, why),
    query ? make("a", { className: "filter", href: `/${query}` }, "Show them") : null, act && mayAct ? needed(act, query) : null)));
}

/** A button that does this to all messages of a need. */
function needed(act, query) {
  const known = actNamed(act);
  const button = make("button", { type: "button" }, `${known.title} all…`);
  button.addEventListener("click", () => offerAll(known, new URLSearchParams(query), () => {
    refreshSoon();
    askFailures();
  }));
  return button;
}

function drawPunctuality() {
  const late = state.punctuality[period];
  const of = whose(state.punctuality, now());
  const key = `${period} ${late.count} ${late.sum_us} ${of}`;
  if ($("histogram").dataset.key === key) return;
  $("histogram").dataset.key = key;
  const since = period === "hour" ? "in the last hour" : "in the last 24 hours";
  put("count", [`${late.count ? counted(late.count, "request") : "No requests"} ${since}`, of].filter(Boolean).join(", "));
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
  drawCountdowns();
  drawCounts({ pending: (state.window.waiting ?? state.window.armed) + (state.window.beyond || 0), unconfirmed: state.in_doubt || 0 });
  drawChart();
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

onBar(show);
onSearch((text) => show(new URLSearchParams({ q: text })));

onConnection((lost) => {
  if (state) drawNow();
  say(lost ? `${lostHow()}.` : "Connected again.");
  if (lost) return;
  drawInstances();
  refreshSoon();
});
document.addEventListener("visibilitychange", () => {
  draw();
  drawInstances();
  askFailures();
  refreshSoon();
});
document.querySelector(".system").addEventListener("toggle", draw);

const FAILS = ["failed", "rejected"];
let failuresUntil = 0;
let isStale = false;
/** The status for which the list, with its forecasts, was last read, and until when that may be older than it. */
let shownFor = "";
let staleUntil = 0;
/** What instances publish is in forecasts after this at the latest. */
const PUBLISHED_MS = 5_000;
begin((frame) => {
  const fails = frame.events.some(({ event }) => FAILS.includes(event)) || FAILS.some((what) => frame.more[what]);
  if (fails) failuresUntil = performance.now() + FAILURES_REST_MS;
  // Once more after the last one.
  if (failuresAsked < failuresUntil && performance.now() - failuresAsked > FAILURES_REST_MS) askFailures();
  if (frame.events.length > 0 || Object.keys(frame.more).length > 0) {
    isStale = true;
    chartIsStale();
  }
  if (frame.state) {
    state = frame.state;
    draw();
    if (state.status.text !== shownFor) {
      shownFor = state.status.text;
      staleUntil = performance.now() + PUBLISHED_MS;
      drawPauses();
    }
    if (performance.now() < staleUntil) isStale = true;
    if (isStale) isStale = !refreshSoon();
    say(`${local(state.status.text)}. ${counted(state.window.armed, "message waits", "messages wait")}.`);
  }
  drawFeed(frame, now());
});
drawInstances();
setInterval(drawInstances, INSTANCES_EVERY_MS);
askFailures();
setInterval(askFailures, FAILURES_EVERY_MS);
