// The page. Everything from outside goes through `text`, so that it stays text.
const text = (value) => String(value ?? '').replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

const STATUS = {
  pending: 'waits', sending: 'is being sent', sent: 'sent', delivered: 'delivered', failed: 'failed',
  cancelled: 'cancelled', unconfirmed: 'may have been sent',
}

const forms = ({ id }) => `
      <form method="post" action="/messages/${text(id)}/move">
        <input name="at" aria-label="New time in UTC" placeholder="2030-01-31T18:00:00" required> <button>Move</button></form>
      <form method="post" action="/messages/${text(id)}/text">
        <input name="body" aria-label="New text" required> <button>Edit</button></form>
      <form method="post" action="/messages/${text(id)}/cancel"><button>Cancel</button></form>`

const row = (message) => `
  <tr>
    <td><time>${text(message.scheduled_at)}</time></td><td>${text(message.to_number)}</td><td>${text(message.body)}</td>
    <td><a href="/messages/${text(message.id)}">${text(STATUS[message.status] ?? message.status)}</a>
      ${text(message.error_message ?? message.cancel_reason)}</td>
    <td>${message.status === 'pending' ? forms(message) : ''}</td>
  </tr>`

export const page = (messages, notice) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Messages</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  td, th { border-bottom: 1px solid #ccc; padding: .4rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }
  [role=alert] { background: #fdecea; padding: .5rem 1rem }
</style>
<h1>Messages</h1>
${notice ? `<p role="alert">${text(notice)}</p>` : ''}
<form method="post" action="/messages">
  <label>To <input name="to" placeholder="+12025550123" required></label>
  <label>Text <input name="body" required></label>
  <label>At (UTC) <input name="at" placeholder="2030-01-31T18:00:00" required></label>
  <button>Schedule</button>
</form>
<table>
  <tr><th>At</th><th>To</th><th>Text</th><th>Status</th><th></th></tr>${messages.map(row).join('')}
</table>
`
