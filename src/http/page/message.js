// The page of one message, from its history. It is asked for again when an event says that something happened to it.

import { actsOf, mayAct, offer } from "./acts.js";
import { $, begin, local, make, now, onKey, put } from "./shell.js";
import { capital, counted, countdown, dateTime, dateWithMillis, instanceName, late, micros, plain, span, withReason } from "./words.js";

const { id } = $("main").dataset;
const AGAIN_MS = 10_000;

let story = null;

const STATUS = {
  pending: ["off", "Waiting"],
  sending: ["off", "Being sent"],
  sent: ["good", "Sent"],
  delivered: ["good", "Delivered"],
  failed: ["bad", "Failed"],
  cancelled: ["warn", "Cancelled"],
  unconfirmed: ["bad", "Unconfirmed: needs a decision"],
};

/** What comes next as a sentence; what can be done about it is below, as buttons or commands. */
function whatNext() {
  if (story.forecast) return `it ${story.next}`;
  return story.next.replace(/^nothing; to send .*: `.*$/, "it will not be sent").replace(/^nothing; to send /, "it will not be sent. To send ")
    .replace(/^nothing: /, "").replace(/^nothing by itself/, "nothing happens by itself").replace(/\. To decide now: .*$/, "").replace(/, then decide: `.*$/, ", then decide").replace(/^sent; /, "");
}

function drawStatus() {
  const { row } = story;
  if (!row) {
    $("status").dataset.is = "off";
    put("status", "Deleted");
    $("acts").replaceChildren();
    delete $("acts").dataset.status;
    put("what", `${local(capital(whatNext()))}.`);
    return;
  }
  const [is, words] = STATUS[row.status] || ["warn", `Unknown status ${row.status}`];
  $("status").dataset.is = is;
  const why = row.status === "failed" ? row.error_message : row.status === "cancelled" ? row.cancel_reason : null;
  const left = micros(row.due) - now();
  const wait = row.status === "pending" && left > 0 ? ` · due in ${countdown(left)}` : "";
  put("status", withReason(words, why) + wait);
  put("what", `${local(capital(whatNext()))}.`);
  if (mayAct) {
    drawButtons(row);
    return;
  }
  const acts = ACTS[row.status] || [];
  if ($("acts").childElementCount === acts.length && $("acts").dataset.status === row.status) return;
  $("acts").dataset.status = row.status;
  $("acts").replaceChildren(...acts.flatMap((act) => [make("code", {}, act), " "]));
}

function drawButtons(row) {
  if ($("acts").dataset.status === row.status) return;
  $("acts").dataset.status = row.status;
  $("acts").replaceChildren(...actsOf(row.status).map((act) => {
    const button = make("button", { type: "button", "data-act": act.name }, `${act.title}…`);
    button.addEventListener("click", () => offer(act, [{ id, to: story.row.to, due: story.row.due }], load));
    return button;
  }));
}

/** The commands for what can be done with a message in this status. */
const ACTS = {
  pending: [`punctual cancel ${id}`, `punctual reschedule ${id} --later 1h`],
  failed: [`punctual retry ${id}`],
  unconfirmed: [`punctual resolve ${id} --sent`, "--resend", "--cancel"],
};

const OUTCOMES = {
  accepted: ["good", "the provider accepted it"],
  refused: ["bad", "the provider refused it"],
  throttled: ["warn", "the provider had too many requests"],
  unsent: ["warn", "not sent: could not connect"],
  unknown: ["bad", "no certain response: it may have been sent"],
  rejected: ["bad", "failed before sending"],
  cancelled: ["warn", "cancelled by a rule"],
  returned: ["", "released unused"],
  deferred: ["warn", "deferred"],
};

/** The provider's code, unless its sentence has it. */
const codeOf = (code, sentence) => code && !sentence?.includes(code) && `code ${code}`;

/** What is known to have happened, as [when, tone, words]. */
function happened({ row, attempts, receipts, notes, outbox, changes }) {
  const lines = [];
  const add = (at, is, ...words) => at && lines.push([micros(at), is, words.filter(Boolean).join(" · ")]);
  // Of the first request alone: what a retry, a later part or a pace waits for is not lateness.
  const first = attempts.find((attempt) => attempt.started_at);
  for (const attempt of attempts) {
    const name = `attempt ${attempt.number}`;
    add(attempt.claimed_at, "", name, `claimed by instance ${instanceName(attempt.instance)}`);
    if (attempt.started_at) {
      const after = row && attempt === first && !row.pace ? micros(attempt.started_at) - micros(row.wanted_at) : -1;
      add(attempt.started_at, "", name, "request started", after >= 0 && late(after));
    }
    const [is, words] = OUTCOMES[attempt.outcome] || ["warn", attempt.outcome];
    const until = ["unknown", "unsent"].includes(attempt.outcome) ? "after" : "responded in";
    const took = attempt.started_at && attempt.finished_at ? `${until} ${span(micros(attempt.finished_at) - micros(attempt.started_at))}` : "";
    add(attempt.finished_at, is, name, words, plain(attempt.category), codeOf(attempt.code, attempt.error), attempt.error, took);
    add(attempt.asked_at, "", name, lookedUp(attempt.asked), attempt.ask_note);
    add(attempt.settled_at, "warn", name, `settled by ${attempt.settled_by}`);
  }
  for (const receipt of receipts) {
    const is = /failed|undelivered/.test(receipt.status) ? "bad" : "good";
    add(receipt.received_at, is, `status update: ${receipt.status}`, receipt.error_code && `code ${receipt.error_code}`, receipt.effect === "contradicted" && "contradicts what was known");
  }
  for (const { at, note } of notes) add(at, "warn", note);
  for (const write of outbox) add(write.created_at, "warn", "your tables refused the result; it will be retried", write.app_error || write.last_error);
  for (const change of changes || []) add(change.at, "", changeWords(change));
  if (row && !attempts.some((attempt) => attempt.outcome === "cancelled")) add(row.cancelled_at, "warn", withReason("cancelled", row.cancel_reason));
  return lines;
}

/** A look-up, after so many that were answered. */
const lookedUp = (n) => (n === 0 ? "a look-up got no response" : n === 1 ? "looked up" : `looked up, ${n} times so far`);

/** A change by others: who, and of each column from what to what. */
function changeWords({ op, role, actor, subject, application, columns }) {
  const who = actor || subject || application || role;
  const shown = (value) => local(String(value ?? "–").replace(/^(\d{4}-\d\d-\d\dT[\d:.]+)\+00:00$/, "$1Z"));
  if (op === "delete") return [`deleted by ${who}`, ...columns.map(({ column, old }) => `${plain(column)} ${shown(old)}`)].join(" · ");
  const what = columns.map(({ column, old, new: now }) => `${plain(column)} ${shown(old)} → ${shown(now)}`).join(", ");
  return `changed by ${who}${what ? `: ${what}` : ""}`;
}

function drawLine() {
  let lines = happened(story);
  const { row } = story;
  if (row) lines.push([micros(row.due), "plan", row.status === "pending" ? "due" : "was due"]);
  if (row && row.due !== row.scheduled_at) lines.push([micros(row.scheduled_at), "plan", row.deferred_reason ? `scheduled · deferred: ${plain(row.deferred_reason)}` : "scheduled"]);
  // What is due at `infinity` has no place.
  lines = lines.filter(([us]) => Number.isFinite(us)).sort(([a], [b]) => a - b);
  const at = now();
  $("line").replaceChildren(...lines.map(([us, is, words]) => make("li", { "data-tone": is, className: us > at ? "ahead" : "" },
    make("time", { dateTime: new Date(us / 1000).toISOString() }, dateWithMillis(us)), make("span", {}, words))));
}

const FACTS = [
  ["Recipient", (row) => `${row.to} (${row.channel})`],
  ["Text", (row) => counted(row.characters, "character") + (row.parts ? `, parts sent: ${row.parts}` : "")],
  ["Scheduled", (row) => dateTime(micros(row.scheduled_at), now())],
  ["Send before", (row) => row.send_before && dateTime(micros(row.send_before), now())],
  ["Deferred until", (row) => row.deferred_until && `${dateTime(micros(row.deferred_until), now())} (${plain(row.deferred_reason)})`],
  ["Paused by", (row) => row.paused_by],
  ["Pace", (row) => row.pace],
  ["Attempts", (row) => `${row.attempts}` + (row.max_attempts ? ` of ${row.max_attempts}` : "")],
  ["Error", (row) => row.error_message && [row.error_message, codeOf(row.error_code, row.error_message)].filter(Boolean).join(" · ")],
  ["Provider's id", (row) => row.twilio_sid],
  ["Warnings", (row) => row.warnings.join("; ")],
];

function drawFacts() {
  const facts = story.row ? FACTS.map(([name, of]) => [name, of(story.row)]).filter(([, text]) => text) : [];
  $("facts").replaceChildren(...facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
  put("raw", JSON.stringify(story, null, 2));
}

async function load() {
  const answer = await fetch(`/debug/messages/${id}`, { headers: { accept: "application/json" } }).catch(() => null);
  if (answer?.ok) {
    story = await answer.json();
    for (const part of document.querySelectorAll("#main > [hidden]")) part.hidden = false;
    drawStatus();
    drawLine();
    drawFacts();
  } else if (!story) {
    $("status").dataset.is = "off";
    for (const part of document.querySelectorAll("#main > :not(.now)")) part.hidden = true;
    put("status", answer?.status === 404 ? "No message with this id." : answer ? capital((await answer.text()).trim()) : "Punctual does not respond.");
  }
}

let wanted = null;
/** Soon, and once for all that happens meanwhile. */
function loadSoon() {
  wanted ??= setTimeout(() => {
    wanted = null;
    load();
  }, 300);
}

if (mayAct) {
  for (const [key, words, names] of [["c", "Cancel it", ["cancel"]], ["r", "Reschedule, retry or resolve it", ["reschedule", "retry", "resolve"]]]) {
    onKey(key, words, () => $("acts").querySelector(names.map((name) => `[data-act="${name}"]`).join(", "))?.click());
  }
}

begin((frame) => {
  if (frame.events.some((event) => event.id === id)) loadSoon();
  if (story && frame.state && !document.hidden) drawStatus();
});
load();
// Other instances have events of their own.
setInterval(() => !document.hidden && load(), AGAIN_MS);
