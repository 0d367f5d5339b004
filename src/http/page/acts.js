// What people do: to messages, to all that match a filter, and pauses. Each is confirmed in a dialog that says which messages
// it changes and how many; the server refuses it if their number has changed meanwhile.

import { $, local, make, onKey, put } from "./shell.js";
import { count, counted, dateTime, micros, plain } from "./words.js";

/** Whether this session may act; else the page shows the commands. */
export const mayAct = document.documentElement.dataset.mayAct === "true";

const NAME = "punctual by";

const ACTS = [
  { name: "cancel", title: "Cancel", past: "cancelled", of: "pending", says: "They will not be sent." },
  { name: "reschedule", title: "Reschedule", past: "moved", of: "pending", says: "To one new time, or each by as much later.",
    fields: [["at", "New time", "datetime-local"], ["later", "or later by", "text", "30m"]] },
  { name: "retry", title: "Retry", past: "set back to pending", of: "failed", says: "They will be sent now, by the rules as they are. Those that may have been accepted before are skipped." },
  { name: "resolve", title: "Resolve", past: "resolved", of: "unconfirmed", says: "Look them up at the provider first: a message that was sent, and is sent again, arrives twice.",
    fields: [["decision", "Decision", [["sent", "sent: the provider has it"], ["resend", "not sent: send it now"], ["cancel", "do not send it"]]]] },
];

/** What can be done with messages in this status. */
export const actsOf = (status) => (mayAct ? ACTS.filter((act) => act.of === status) : []);
export const actNamed = (name) => ACTS.find((act) => act.name === name);

const plural = (n) => counted(n, "message");

/** Who acts, as they said last. */
export const actor = () => localStorage.getItem(NAME) || "";

function field([name, title, kind, placeholder = "", value = ""]) {
  const input = Array.isArray(kind)
    ? make("select", { name }, ...kind.map(([one, words]) => make("option", { value: one }, words)))
    : kind === "textarea" ? make("textarea", { name, rows: 8, value })
    : make("input", { name, type: kind, placeholder, spellcheck: false, maxLength: 200, value: name === "by" ? actor() : value });
  if (kind === "datetime-local") input.step = 1;
  return make("label", {}, `${title} `, input);
}

/** What was entered, without what was left empty. Times are the browser's. */
function entered() {
  const given = Object.fromEntries([...new FormData($("act-form"))].filter(([, value]) => value.trim() !== ""));
  for (const name of ["at", "until"]) if (given[name]) given[name] = new Date(given[name]).toISOString();
  localStorage.setItem(NAME, given.by || "");
  return given;
}

/** Asks the server to act: what it answers, or why not (`error`). Then nothing was changed, unless that is not known
 * (`isUnknown`); other values may be accepted (`isInvalid`). */
export async function post(path, query, body) {
  // The header is one that pages of other sites cannot send here.
  const headers = { "punctual-act": "1", ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`, { method: "POST", headers, body: body && JSON.stringify(body) }).catch(() => null);
  if (!answer) return { error: "Punctual does not respond, so it is not known whether it was done: look again before you repeat it.", isUnknown: true };
  const text = (await answer.text().catch(() => "")).trim();
  // Where it says when to ask again, nothing was begun.
  const mayBeDone = answer.status >= 500 && !answer.headers.has("retry-after");
  try {
    const said = JSON.parse(text);
    if (answer.status === 202) return { error: `${local(said.detail)}.`, isUnknown: true };
    if (!said.error) return said;
    return { ...said, error: `${local(said.error)}.`, isInvalid: answer.status === 400, isUnknown: mayBeDone };
  } catch {
    return { error: text || `Punctual answered ${answer.status}.`, isUnknown: answer.ok || answer.status === 408 || mayBeDone };
  }
}

/** The dialog that is open, by number: one that was closed meanwhile is left alone. */
let opened = 0;
/** Says whether the dialog that is open now is still open. */
function whileOpen() {
  const own = opened;
  return () => own === opened && $("act").open;
}

/** Opens the dialog. `run` does it with what was entered, as long as `isOpen` says so; it returns what is wrong, or nothing.
 * What may have been done already cannot be repeated from here (`isOver`). */
export function ask({ title, says, sample = [], fields = [], button }, run) {
  put("act-title", title);
  put("act-says", says);
  put("act-error", "");
  put("act-do", button);
  $("act-sample").replaceChildren(...sample.map((one) => make("li", {}, ...[one].flat())));
  $("act-fields").replaceChildren(...[...fields, ["by", "Your name, for the record", "text"]].map(field));
  $("act-do").disabled = !run;
  opened += 1;
  const isOpen = whileOpen();
  $("act-form").onsubmit = async (event) => {
    event.preventDefault();
    if (!run) return;
    $("act-do").disabled = true;
    const { wrong, isOver = false } = await run(entered(), isOpen);
    if (!isOpen()) {
      if (wrong) report(wrong);
      return;
    }
    $("act-do").disabled = isOver;
    put("act-error", wrong || "");
    if (!wrong) $("act").close();
  };
  if (!$("act").open) $("act").showModal();
}

let reported;
/** What was done, at the top of the page for a while. */
export function report(text) {
  put("acted", text);
  $("acted").hidden = text === "";
  clearTimeout(reported);
  if (text !== "") reported = setTimeout(() => report(""), 15_000);
}

const describe = (message, now) => `${message.id.slice(0, 8)} to ${message.to || "–"}, ${dateTime(micros(message.due), now)}`;

/** Offers an act on these messages. */
export function offer(act, messages, then) {
  const now = Date.now() * 1000;
  const sample = messages.slice(0, 5).map((message) => describe(message, now));
  if (messages.length > 5) sample.push(`and ${count(messages.length - 5)} more`);
  const fields = [...(act.fields || [])];
  if (act.name === "resolve" && messages.length === 1) fields.push(["sid", "The provider's id, if it was sent", "text", "SM…"]);
  ask({ title: `${act.title} ${plural(messages.length)}?`, says: act.says, sample, fields, button: act.title }, async (given, isOpen) => {
    let changed = 0;
    let already = 0;
    let isOver = false;
    const wrong = [];
    // Those that were not changed can be tried again; the others are not changed twice.
    const left = messages;
    messages = [];
    for (const [n, message] of left.entries()) {
      if (isOver || !isOpen()) {
        messages.push(...left.slice(n));
        if (isOver) wrong.push(`The other ${count(left.length - n)} were not tried.`);
        break;
      }
      const { id } = message;
      const answer = await post(`/api/messages/${id}/${act.name}`, given);
      if (answer.isInvalid) {
        // What was entered cannot be used, for the others neither.
        wrong.push(answer.error);
        messages.push(...left.slice(n));
        break;
      }
      if (answer.error) {
        wrong.push(left.length === 1 ? answer.error : `${id.slice(0, 8)}: ${answer.error}`);
        messages.push(message);
        isOver = Boolean(answer.isUnknown);
      } else if (answer.changed) changed += 1;
      else already += 1;
    }
    const done = `${plural(changed)} ${act.past}${already > 0 ? `, ${count(already)} already so` : ""}`;
    then();
    if (!isOpen()) {
      report(`${done}, of ${count(left.length)}: the dialog was closed. ${wrong[0] || ""}`);
      return {};
    }
    if (changed + already > 0) report(`${done}.`);
    return { wrong: wrong.join(" "), isOver };
  });
}

/** Offers an act on all messages of a filter, once it is known how many these are. */
export async function offerAll(act, filter, then) {
  const query = Object.fromEntries([...filter].filter(([name, value]) => value && !["limit", "cursor", "status"].includes(name)));
  query.status = act.of;
  const path = `/api/messages/${act.name}`;
  const own = { reschedule: { later: "1s" }, resolve: { decision: "cancel" } }[act.name] || {};
  // Without `confirm` the server changes nothing, and says how many there are.
  const [preview, list] = await Promise.all([post(path, { ...query, ...own }),
    fetch(`/api/messages?${new URLSearchParams({ ...query, limit: 5 })}`).then((answer) => answer.json()).catch(() => null)]);
  // Another dialog was opened meanwhile.
  if ($("act").open) return;
  const n = preview.messages;
  const now = Date.now() * 1000;
  const sample = (list?.messages || []).map((message) => describe(message, now));
  if (n > sample.length) sample.push(`and ${count(n - sample.length)} more`);
  const of = { title: `${act.title} all that match${n === undefined ? "" : `: ${plural(n)}`}?`, says: act.says, sample, fields: act.fields || [], button: `${act.title} ${n === undefined ? "" : plural(n)}` };
  // Unless other values are needed, it is not known after an error how many messages it applies to: a new preview shows it.
  ask(of, n > 0 ? async (given) => {
    const answer = await post(path, { ...query, ...given, confirm: n });
    if (!answer.error) report(`${plural(answer.changed)} ${act.past}${answer.skipped ? `, ${count(answer.skipped)} skipped` : ""}.`);
    then();
    return { wrong: answer.error, isOver: !answer.isInvalid };
  } : null);
  put("act-error", preview.error || (n === 0 ? `None of them is ${act.of}.` : ""));
}

/** What can be paused: its parameter, and how one is written. Without a parameter it is everything. */
const SCOPES = [["", "everything"], ["lane", "a lane", "sms"], ["sender", "a sender", "+15005550006"], ["campaign", "a campaign", "its id"],
  ["user", "a user", "the user's id"], ["type", "a message type", "daily_brief"]];

export const pauseName = ({ scope, what }) => (what ? `${plain(scope)} ${what}` : "everything");

const pauseWords = ({ until, who, why }) => `${until === "infinity" ? "until somebody resumes" : `until ${local(until)}`}, by ${who}${why ? `: ${why}` : ""}`;

/** What is paused, each with the button that ends it, and a new pause. */
export async function offerPauses() {
  const answer = await fetch("/api/pauses").catch(() => null);
  const pauses = answer?.ok ? await answer.json().catch(() => null) : null;
  // Another dialog was opened meanwhile.
  if ($("act").open) return;
  const isNone = pauses?.length === 0;
  const sample = (pauses || []).map((pause) => {
    const button = make("button", { type: "button" }, "Resume");
    button.addEventListener("click", () => resume(pause, button));
    return [make("b", {}, pauseName(pause)), ` ${pauseWords(pause)} `, button];
  });
  ask({ title: isNone ? "Pause sending?" : "What is paused", sample, button: "Pause",
    says: "What is paused is not sent. Its messages stay pending, and are sent when the pause ends. What is being sent now is finished.",
    fields: [["scope", "Pause", SCOPES], ["what", "Which one", "text"], ["until", "Until (optional)", "datetime-local"], ["why", "Reason (optional)", "text"]] }, async ({ scope, what = "", ...given }) => {
    // An empty name is sent too, and refused: it is not everything.
    const paused = await post("/api/pause", scope ? { ...given, [scope]: what } : given);
    if (!paused.error) report(`Paused: ${pauseName(paused)}.${paused.replaced ? ` It was already, ${pauseWords(paused.replaced)}.` : ""}`);
    return { wrong: paused.error };
  });
  const { scope, what } = $("act-form").elements;
  scope.onchange = () => {
    const [kind, words, form = ""] = SCOPES.find(([name]) => name === scope.value);
    what.closest("label").hidden = kind === "";
    what.placeholder = form;
    put("act-do", `Pause ${words}`);
  };
  scope.onchange();
  if (!pauses) put("act-error", "What is paused could not be read.");
}

/** Ends a pause. If that cancels messages that have expired, it is confirmed first. */
async function resume(pause, button) {
  button.disabled = true;
  const { by } = entered();
  const query = pause.what ? { [pause.scope === "message_type" ? "type" : pause.scope]: pause.what } : {};
  if (by) query.by = by;
  if (button.dataset.confirm) query.confirm = button.dataset.confirm;
  const isOpen = whileOpen();
  const answer = await post("/api/resume", query);
  button.disabled = false;
  if (!answer.error) {
    report(`Resumed: ${pauseName(pause)}.`);
    if (isOpen()) $("act").close();
    return;
  }
  if (!isOpen()) {
    report(`${answer.isUnknown ? "Perhaps not resumed" : "Not resumed"}: ${pauseName(pause)}. ${answer.error}`);
    return;
  }
  put("act-error", answer.error);
  if (answer.messages === undefined) return;
  button.dataset.confirm = answer.messages;
  put(button, `Resume, and cancel ${plural(answer.messages)}`);
}

if (mayAct) {
  // An act is meant by its button, not by the Enter that ends a text.
  $("act-fields").addEventListener("keydown", (event) => event.key === "Enter" && event.target.matches("input") && event.preventDefault());
  $("act-not").addEventListener("click", () => $("act").close());
  $("pause-all").addEventListener("click", offerPauses);
  onKey("p", "Pause and resume", offerPauses);
}
