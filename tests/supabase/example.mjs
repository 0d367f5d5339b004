// The app in examples/express, as a person uses it: its page is requested and its forms are posted.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import http from 'node:http'

const { POSTGREST_URL, JWT_SECRET, EXAMPLE } = process.env
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const unsigned = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ role: 'service_role', exp: Math.floor(Date.now() / 1000) + 3600 })}`
const key = `${unsigned}.${createHmac('sha256', JWT_SECRET).update(unsigned).digest('base64url')}`

// A project's gateway: it takes `/rest/v1` away.
const target = new URL(POSTGREST_URL)
const gateway = http.createServer((request, response) => {
  const path = request.url.replace('/rest/v1', '')
  const onward = http.request({ host: target.hostname, port: target.port, path, method: request.method, headers: request.headers },
    (got) => { response.writeHead(got.statusCode, got.headers); got.pipe(response) })
  onward.on('error', () => response.writeHead(502).end())
  request.pipe(onward)
}).listen(0, '127.0.0.1')
await new Promise((listening) => gateway.once('listening', listening))

const app = spawn(process.execPath, ['server.js'], {
  cwd: EXAMPLE, stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...process.env, SUPABASE_URL: `http://127.0.0.1:${gateway.address().port}`, SUPABASE_SECRET_KEY: key, PORT: '0' },
})
process.on('exit', () => app.kill())
const base = await new Promise((ready, ended) => {
  app.stdout.on('data', (said) => { const url = /http:\S+/.exec(said); if (url) ready(url[0]) })
  app.on('exit', (code) => ended(new Error(`the app ended with ${code}`)))
})

const html = async () => {
  const response = await fetch(base)
  return [response.status, await response.text()]
}
const until = async (what, check) => {
  for (const began = Date.now(); ;) {
    const seen = await check()
    if (seen) return seen
    if (Date.now() - began > 60_000) throw new Error(`not within a minute: ${what}`)
    await new Promise((later) => setTimeout(later, 50))
  }
}
const post = async (path, form, headers = {}) => {
  const response = await fetch(new URL(path, base), { method: 'POST', body: new URLSearchParams(form), redirect: 'manual', headers })
  return [response.status, await response.text()]
}
// The list's row with this text: its id, and what it shows.
const row = async (body) => {
  const [, page] = await html()
  const row = page.split('<tr>').find((row) => row.includes(body))
  return row && { id: /\/messages\/([0-9a-f-]{36})/.exec(row)[1], row }
}
const at = (ms) => new Date(Date.now() + ms).toISOString().slice(0, -1)

await until('PostgREST serves', async () => (await html())[0] === 200)

const HOSTILE = '<script>alert(1)</script>'
assert.deepEqual((await post('/messages', { to: '+12025550110', body: HOSTILE, at: at(7_200_000) }))[0], 303)
const [, page] = await html()
assert.ok(!page.includes(HOSTILE) && page.includes('&#60;script&#62;alert(1)'), page)

assert.equal((await post('/messages', { to: '+12025550111', body: 'tea', at: at(7_200_000) }))[0], 303)
const tea = await row('tea')
assert.match(tea.row, />waits</)
assert.equal((await post(`/messages/${tea.id}/move`, { at: '2037-01-31T18:00:00' }))[0], 303)
assert.match((await row('tea')).row, /2037-01-31T18:00:00/)
assert.equal((await post(`/messages/${tea.id}/text`, { body: 'coffee' }))[0], 303)
assert.equal((await row('coffee')).id, tea.id)
assert.equal((await post(`/messages/${tea.id}/cancel`, {}))[0], 303)
assert.match((await row('coffee')).row, />cancelled</)
const [again, why] = await post(`/messages/${tea.id}/move`, { at: at(7_200_000) })
assert.equal(again, 409)
assert.match(why, /role="alert">Not done: it was cancelled\./)

// What is sent shows it, and is too late to cancel, edit or move.
assert.equal((await post('/messages', { to: '+12025550112', body: 'at once', at: at(1_000) }))[0], 303)
const { id } = await row('at once')
await until('it is sent', async () => (await row('at once')).row.includes('>sent<'))
for (const [act, form] of [['cancel', {}], ['text', { body: 'other' }], ['move', { at: at(7_200_000) }]]) {
  const [status, late] = await post(`/messages/${id}/${act}`, form)
  assert.equal(status, 409, act)
  assert.match(late, /role="alert">Too late: /, act)
}
const story = await (await fetch(new URL(`/messages/${id}`, base))).json()
assert.equal(story.status, 'sent')
assert.equal(story.attempts[0].outcome, 'accepted')

// Bad input, somebody else's form, and what is not there.
const [bad, hint] = await post('/messages', { to: '555 0000', body: 'hello', at: at(7_200_000) })
assert.equal(bad, 422)
assert.match(hint, /to_number must be/)
assert.equal((await post('/messages', { to: '+12025550113', body: 'hello', at: 'soon' }))[0], 422)
assert.equal((await post(`/messages/${id}/cancel`, {}, { 'sec-fetch-site': 'cross-site' }))[0], 403)
assert.equal((await post('/messages/22222222-2222-4222-8222-222222222222/cancel', {}))[0], 409)
assert.equal((await fetch(new URL('/messages/22222222-2222-4222-8222-222222222222', base))).status, 404)
console.log('ok: the example app schedules, moves, edits, cancels and shows status')
process.exit(0)
