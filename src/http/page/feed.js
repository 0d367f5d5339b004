// What just happened: on the instance that serves the page at once, on the others as they publish it, every few seconds.

import { $, make, messageLink, onConnection, put } from "./shell.js";
import { count, details, instanceName, micros, timeWithMillis, tone, whose } from "./words.js";

const LINES_MAX = 80;
const RATE_MS = 10_000;

let sent = [];
let waiting = { events: [], more: {} };
let paused = false;
/** Whose events are in the feed. */
let of = "";

function line(event, now) {
  const where = event.instance && `instance ${instanceName(event.instance)}`;
  const node = make("li", { "data-tone": tone(event) },
    make("time", { dateTime: event.at }, timeWithMillis(micros(event.at))),
    make("span", { className: "what" }, event.event === "receipt" ? "status update" : event.event),
    messageLink(event.id),
    make("span", { className: "details" }, [details(event, now), where].filter(Boolean).join(" · ")));
  node.at = micros(event.at);
  return node;
}

/** Puts a line above those that are older. */
function place(feed, node) {
  let next = feed.firstElementChild;
  while (next && next.at > node.at) next = next.nextElementSibling;
  feed.insertBefore(node, next);
}

function rate(frame, now) {
  const at = performance.now();
  // A page that opens is sent older events too.
  const isNew = (event) => event.event === "sent" && micros(event.at) > now - RATE_MS * 1_000;
  const n = (frame.more.sent || 0) + frame.events.filter(isNew).length;
  if (n > 0) sent.push([at, n]);
  sent = sent.filter(([then]) => then > at - RATE_MS);
  const sum = sent.reduce((all, [, each]) => all + each, 0);
  const words = sum ? `${(sum * 1000 / RATE_MS).toFixed(1)} sent per second` : "None sent in the last 10 s";
  put("rate", [words, of].filter(Boolean).join(", "));
}

/** Adds the events of a frame, in one change of the document. */
export function drawFeed(frame, now) {
  if (frame.state) of = whose(frame.state.punctuality, now);
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
  const lines = waiting.events.map((event) => line(event, now)).sort((one, other) => one.at - other.at);
  if (more.length > 0) {
    const words = more.map(([what, n]) => `${count(n)} ${what}`).join(", ");
    const summed = make("li", { className: "summed" }, `+ ${words} not shown`);
    // Below those of this frame.
    summed.at = lines[0]?.at ?? now;
    lines.unshift(summed);
  }
  waiting = { events: [], more: {} };
  const feed = $("feed");
  const away = feed.scrollTop > 8;
  const before = away ? feed.scrollHeight : 0;
  for (const each of lines) place(feed, each);
  while (feed.childElementCount > LINES_MAX) feed.lastElementChild.remove();
  // A reader who has scrolled down stays where they are.
  if (away) feed.scrollTop += feed.scrollHeight - before;
}

// What was sent lately is not known without a connection.
onConnection((lost) => lost && put("rate", ""));

$("pause").addEventListener("click", () => {
  paused = !paused;
  put("pause", paused ? "Resume feed" : "Pause feed");
});
