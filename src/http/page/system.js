// The parts that sending needs, each with its state: for whoever looks for a cause.

import { $, make, put } from "./shell.js";
import { count, counted, micros, span, time } from "./words.js";

const PARTS = [
  ["Change notifications", ({ listener }) => {
    if (!listener.connected) return ["bad", listener.since ? `lost since ${time(micros(listener.since))}` : "not verified yet"];
    const last = listener.last_notice_at ? `, the last at ${time(micros(listener.last_notice_at))}` : "";
    return ["good", `live since ${time(micros(listener.since))}${last}`];
  }],
  ["Clock", ({ clock }) => clock.offset_us === null ? ["bad", "not measured; sending is paused"]
    : ["good", `in step with the database (±${span(clock.uncertainty_us)}; offset ${clock.offset_us < 0 ? "−" : "+"}${span(Math.abs(clock.offset_us))})`]],
  ["Database", ({ database, missing }) => missing.some((m) => /database$/.test(m)) ? ["bad", "not connected"]
    : [database.waiting > 0 ? "warn" : "good", `${counted(database.open, "connection")}, ${database.idle} idle` + (database.waiting ? `, ${counted(database.waiting, "step")} waiting for one` : "")]],
  ["Accounts", ({ lanes }) => {
    const refused = lanes.filter((lane) => lane.refused > 0);
    return refused.length ? ["bad", refused.map(({ account, channel, breaker }) => `${account} (${channel}) refused since ${time(micros(breaker.since))}`).join("; ")]
      : lanes.length ? ["good", "accepted by their providers"] : ["off", "not used yet"];
  }],
  ["Pauses", ({ pauses }) => (pauses.length ? ["warn", counted(pauses.length, "pause")] : ["good", "none"])],
  ["Loaded until", ({ window: { until } }) => until ? ["good", time(micros(until))] : ["warn", "loading"]],
  ["Provider", ({ provider, last_sent_at: last }) => provider.count
    ? ["good", `responds in ${span(Math.round(provider.sum_us / provider.count))}` + (last ? `, last accepted ${time(micros(last))}` : ", has accepted no message yet")]
    : ["off", "no request yet"]],
  ["Requests", ({ load }) => load.permits < load.max_in_flight
    ? ["warn", `limited to ${count(load.permits)} at a time, because the provider throttles; ${count(load.in_flight)} in flight`]
    : ["good", `${count(load.in_flight)} in flight (limit ${count(load.permits)})`]],
  ["Claimed", ({ load }) => ["good", `${counted(load.cleared, "message")}, ${counted(load.unrecorded, "result")} to save`]],
  ["Paces", ({ paces }) => [paces.some((pace) => pace.refused) ? "warn" : "good", paces.length ? paceWords(paces) : "none waiting"]],
  ["Journal", ({ journal }) => !journal ? ["off", "none is kept"] : journal.writable ? ["good", "written"] : ["warn", journal.reason || "cannot be written"]],
  ["Sent twice", ({ duplicates }) => [duplicates > 0 ? "bad" : "good", duplicates ? counted(duplicates, "message") : "none"]],
];

function paceWords(paces) {
  const next = ({ next_at, channel, refused }) => refused ? `waits, because the provider refuses the account of the next (${channel})`
    : `the next about ${time(micros(next_at))}`;
  const words = paces.slice(0, 3).map((pace) => `${pace.scope} ${pace.what}: ${next(pace)}`);
  if (paces.length > words.length) words.push(`${count(paces.length - words.length)} more`);
  return words.join("; ");
}

export function drawSystem(state) {
  const list = $("health");
  if (list.childElementCount !== PARTS.length) {
    list.replaceChildren(...PARTS.map(([name]) => make("div", {}, make("dt", { className: "lamp" }, name), make("dd"))));
  }
  const faults = [];
  PARTS.forEach(([name, judge], index) => {
    const [is, text] = judge(state);
    const [dt, dd] = list.children[index].children;
    if (dt.dataset.is !== is) dt.dataset.is = is;
    put(dd, text);
    if (is === "bad" || is === "warn") faults.push(name.toLowerCase());
  });
  put("system-said", faults.length ? `look at: ${faults.join(", ")}` : "all parts work");
  put("instance", state.instance);
}
