// The stream of events, from the one connection of all tabs (worker.js), or where there are no shared workers from a
// connection of this page's own. What comes is collected, and passed on at most twice a second.

const URL_OF_EVENTS = "/debug/events?state=1";
const PASS_ON_MS = 500;
/** Events passed on one by one; the others are counted. */
const SHOWN_MAX = 12;
/** Events that a tab sees which joins later. */
const RECENT_MAX = 60;
const AGAIN_MS = 2_000;
/** What is older is not counted as happening now: after a reconnect the server repeats older events. */
const PRESENT_MS = 10_000;

export const KINDS = ["armed", "moved", "edited", "disarmed", "watched", "claimed", "returned", "deferred", "cancelled",
  "rejected", "sent", "throttled", "unsent", "refused", "failed", "unconfirmed", "receipt"];

/**
 * Follows the stream. `pass` gets frames: `state` (if it is new) with its `age` in ms, `events`, and by kind how many
 * `more` there were; or `trouble`: why there is no stream.
 */
export class Source {
  constructor(pass) {
    this.pass = pass;
    this.state = null;
    this.stateAt = 0;
    this.recent = [];
    this.seen = new Set();
    this.empty();
    this.connect();
    setInterval(() => this.flush(), PASS_ON_MS);
  }

  empty() {
    this.fresh = false;
    this.events = [];
    this.more = {};
  }

  /** What a tab begins with that joins. */
  beginning() {
    return { state: this.state, age: performance.now() - this.stateAt, events: this.recent, more: {} };
  }

  flush() {
    if (!this.fresh && this.events.length === 0 && Object.keys(this.more).length === 0) return;
    this.pass({
      state: this.fresh ? this.state : null, age: performance.now() - this.stateAt,
      events: this.events, more: this.more,
    });
    this.empty();
  }

  count(what, n) {
    this.more[what] = (this.more[what] || 0) + n;
  }

  isPresent(event) {
    if (!this.state) return true;
    const now = Date.parse(this.state.now) + performance.now() - this.stateAt;
    return Date.parse(event.at) > now - PRESENT_MS;
  }

  happened(event) {
    // After a reconnect the server repeats recent events.
    const key = event.at + event.event + event.id;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    if (this.seen.size > 1_000) this.seen = new Set([...this.seen].slice(-300));
    this.recent.push(event);
    if (this.recent.length > 2 * RECENT_MAX) this.recent = this.recent.slice(-RECENT_MAX);
    this.events.push(event);
    // Everything at first: nobody is reading yet.
    if (this.events.length <= (this.state ? SHOWN_MAX : RECENT_MAX)) return;
    const oldest = this.events.shift();
    if (this.isPresent(oldest)) this.count(oldest.event, 1);
  }

  connect() {
    const stream = new EventSource(URL_OF_EVENTS);
    for (const kind of KINDS) stream.addEventListener(kind, (message) => this.happened(JSON.parse(message.data)));
    stream.addEventListener("more", (message) => {
      const { more, dropped } = JSON.parse(message.data);
      for (const [what, n] of Object.entries(more)) this.count(what, n);
      if (dropped) this.count("other events", dropped);
    });
    stream.addEventListener("state", (message) => {
      this.state = JSON.parse(message.data);
      this.stateAt = performance.now();
      this.fresh = true;
    });
    stream.addEventListener("error", () => {
      // The browser reconnects by itself, except after a response that is not a stream.
      if (stream.readyState !== EventSource.CLOSED) return;
      stream.close();
      this.explain();
      setTimeout(() => this.connect(), AGAIN_MS);
    });
  }

  /** Why there is no stream: an EventSource does not say. */
  async explain() {
    const asking = new AbortController();
    try {
      const answer = await fetch(URL_OF_EVENTS, { signal: asking.signal });
      if (answer.ok) asking.abort();
      else this.pass({ trouble: { status: answer.status, text: (await answer.text()).trim() } });
    } catch {
      // Nobody responds: the page sees that nothing comes.
    }
  }
}

/** Passes frames to `pass`, from the shared worker if there can be one. */
export function follow(pass) {
  const alone = () => new Source(pass);
  if (!globalThis.SharedWorker) {
    alone();
    return;
  }
  let isAlone = false;
  const { version } = document.documentElement.dataset;
  // Tabs of another version have a worker of their own.
  const worker = new SharedWorker("/assets/worker.js", { type: "module", name: `punctual ${version}` });
  worker.addEventListener("error", () => {
    if (!isAlone) alone();
    isAlone = true;
  });
  worker.port.addEventListener("message", ({ data }) => pass(data));
  worker.port.start();
  // Pages that the browser keeps for the way back do not follow meanwhile.
  addEventListener("pagehide", () => worker.port.postMessage("leave"));
  addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage("join"));
}
