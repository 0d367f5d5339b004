// Numbers, times and events as texts.

const nbsp = "\u202f";
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const whole = new Intl.NumberFormat("en");

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local";
export const count = (n) => whole.format(n);

/** 1 message, 2 messages. */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Microseconds since the epoch of `2026-01-01T09:00:00.000000Z`. */
export function micros(text) {
  const at = Date.parse(text);
  const fraction = /\.(\d{3})(\d{3})Z$/.exec(text);
  return at * 1000 + (fraction ? Number(fraction[2]) : 0);
}

/** `infinity` is no number here: a message that is due then is never due. */
export const time = (us) => (Number.isNaN(us) ? "never" : clock.format(us / 1000));
export const dateWithMillis = (us) => `${day.format(us / 1000)} ${timeWithMillis(us)}`;
export const timeWithMillis = (us) => `${clock.format(us / 1000)}.${String(Math.floor(us / 1000) % 1000).padStart(3, "0")}`;

export function dateTime(us, now) {
  if (Number.isNaN(us)) return "never";
  const far = Math.abs(us - now) > 20 * 3600e6;
  return far ? `${day.format(us / 1000)} ${clock.format(us / 1000)}` : clock.format(us / 1000);
}

/** 250 µs, 1.2 ms, 3.4 s, 2 min. */
export function span(us) {
  if (us < 1000) return `${us}${nbsp}µs`;
  if (us < 1e6) return `${digits(us / 1000)}${nbsp}ms`;
  if (us < 120e6) return `${digits(us / 1e6)}${nbsp}s`;
  if (us < 2 * 3600e6) return `${Math.round(us / 60e6)}${nbsp}min`;
  return `${digits(us / 3600e6)}${nbsp}h`;
}

const digits = (n) => (n < 10 ? n.toFixed(1) : Math.round(n).toString());

/** The time until then: 12 d, 1:02:03, 4:05. What is due is due for a while: requests take their time. */
export function countdown(us) {
  if (Number.isNaN(us)) return "";
  const s = Math.ceil(us / 1e6);
  if (s < -DUE_S) return `−${clockOf(-s)}`;
  return s <= 0 ? "now" : clockOf(s);
}

/** How long what is due is not overdue yet, in seconds. */
export const DUE_S = 10;

function clockOf(s) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (s >= 100 * 3600) return `${Math.floor(s / 86400)}${nbsp}d`;
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
  return `${Math.floor(s / 3600)}:${two((s % 3600) / 60)}:${two(s % 60)}`;
}

const TONES = {
  sent: "good", receipt: "good",
  failed: "bad", unconfirmed: "bad", rejected: "bad",
  throttled: "warn", unsent: "warn", refused: "warn", returned: "warn", deferred: "warn", cancelled: "warn",
};

export function tone(event) {
  if (event.event === "receipt" && /failed|undelivered/.test(event.status || "")) return "bad";
  return TONES[event.event] || "";
}

/** What is heard more rarely is shown with its time. */
const HEARD_US = 10e6;

/** The end of an instance's id: those that start at about the same time begin alike. */
export const instanceName = (id) => id.slice(-8);

/** Whose figures these are, of the instances that run; empty: of the only one. */
export function whose({ instances, running, others_as_of: asOf }, now) {
  if (running === null) return "on this instance; the others are not known now";
  if (instances < running) return `on ${count(instances)} of ${counted(running, "instance")}`;
  if (running === 1) return "";
  const at = asOf && now - micros(asOf) > HEARD_US ? `, the others as of ${time(micros(asOf))}` : "";
  return `on ${counted(running, "instance")}${at}`;
}

/** A word of the ledger for people: `daily_limit` is "daily limit". */
export const plain = (word) => (word || "").replaceAll("_", " ");
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
/** A status and why: "Failed: unreachable", and "Cancelled by Ada" where the reason says it already. */
export const withReason = (status, why) => (!why ? status : why.startsWith(status.toLowerCase()) ? status.charAt(0) + why.slice(1) : `${status}: ${why}`);
export const late = (us) => `+${span(us)}`;

const again = (event, now) => (event.due_at ? `again at ${dateTime(micros(event.due_at), now)}` : "");
const code = (event) => [plain(event.category), event.code && `code ${event.code}`].filter(Boolean).join(", ");
const joined = (...parts) => parts.filter(Boolean).join(" · ");

/** The details of an event, shown after its name. */
export function details(event, now) {
  const due = event.due_at ? dateTime(micros(event.due_at), now) : "";
  switch (event.event) {
    case "armed": return `due ${due}`;
    case "moved": return `${dateTime(micros(event.was_due_at), now)} → ${due}`;
    case "edited": return `due ${due} · text or recipient changed`;
    case "disarmed": return event.status ? `${event.status} in the database` : due === "never" ? "waits until somebody resumes" : due ? `now due ${due}` : "";
    case "watched": return `another instance has claimed it until ${due}`;
    case "claimed": return `for ${due}`;
    case "sent": return `${late(event.lateness_us ?? 0)} · provider answered in ${span(event.provider_us ?? 0)}`;
    case "returned": return "released unused";
    case "deferred": return joined(plain(event.category), due && `until ${due}`);
    case "cancelled": return plain(event.category) || "by a rule";
    case "rejected": return joined("failed before sending", plain(event.category));
    case "throttled": return joined("too many requests for the provider", again(event, now));
    case "unsent": return joined("not sent: could not connect", again(event, now));
    case "refused": return joined(code(event), again(event, now));
    case "failed": return code(event);
    case "unconfirmed": return "the provider may or may not have it";
    case "receipt": return joined(event.status, event.code && `code ${event.code}`);
    default: return "";
  }
}
