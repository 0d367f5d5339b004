// What just happened on the instance that serves the page.

import { $, make, messageLink, put } from "./shell.js";
import { count, details, micros, timeWithMillis, tone } from "./words.js";

const LINES_MAX = 80;
const RATE_MS = 10_000;

let sent = [];
let waiting = { events: [], more: {} };
let paused = false;

function line(event, now) {
  return make("li", { "data-tone": tone(event) },
    make("time", { dateTime: event.at }, timeWithMillis(micros(event.at))),
    make("span", { className: "what" }, event.event === "receipt" ? "status update" : event.event),
    messageLink(event.id),
    make("span", { className: "details" }, details(event, now)));
}

function rate(frame, now) {
  const at = performance.now();
  // A page that opens is sent older events too.
  const isNew = (event) => event.event === "sent" && micros(event.at) > now - RATE_MS * 1_000;
  const n = (frame.more.sent || 0) + frame.events.filter(isNew).length;
  if (n > 0) sent.push([at, n]);
  sent = sent.filter(([then]) => then > at - RATE_MS);
  const sum = sent.reduce((all, [, each]) => all + each, 0);
  put("rate", sum ? `${(sum * 1000 / RATE_MS).toFixed(1)} sent per second, on this instance` : "on this instance");
}

/** Adds the events of a frame, in one change of the document. */
export function drawFeed(frame, now) {
  rate(frame, now);
  for (const [what, n] of Object.entries(frame.more)) waiting.more[what] = (waiting.more[what] || 0) + n;
  waiting.events.push(...frame.events);
  while (waiting.events.length > LINES_MAX) {
    const { event } = waiting.events.shift();
    waiting.more[event] = (waiting.more[event] || 0) + 1;
  }
  const more = Object.entries(waiting.more);
  const all = waiting.events.length + more.reduce((sum, [, n]) => sum + n, 0);
  if (paused) put("pause", all ? `Resume (${count(all)} new)` : "Resume feed");
  if (paused || document.hidden || all === 0) return;
  const lines = waiting.events.map((event) => line(event, now)).reverse();
  if (more.length > 0) {
    const words = more.map(([what, n]) => `${count(n)} ${what}`).join(", ");
    lines.push(make("li", { className: "summed" }, `+ ${words} not shown`));
  }
  waiting = { events: [], more: {} };
  const feed = $("feed");
  const away = feed.scrollTop > 8;
  const before = away ? feed.scrollHeight : 0;
  feed.prepend(...lines.slice(0, LINES_MAX));
  while (feed.childElementCount > LINES_MAX) feed.lastElementChild.remove();
  // A reader who has scrolled down stays where they are.
  if (away) feed.scrollTop += feed.scrollHeight - before;
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  put("pause", paused ? "Resume feed" : "Pause feed");
});
