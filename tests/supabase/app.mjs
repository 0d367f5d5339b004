// An app's calls through supabase-js, each as a user makes it, and what comes back.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'

const require = createRequire(process.env.SUPABASE_TOOLS + '/')
const { createClient } = require('@supabase/supabase-js')

const base = process.env.POSTGREST_URL
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const unsigned = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
  role: 'authenticated',
  sub: '11111111-1111-4111-8111-111111111111',
  exp: Math.floor(Date.now() / 1000) + 600,
})}`
const signature = createHmac('sha256', process.env.JWT_SECRET).update(unsigned).digest('base64url')

// What stands before PostgREST in a project takes this path away.
const past = (url, options) => fetch(String(url).replace('/rest/v1', ''), options)
const client = createClient(base, `${unsigned}.${signature}`, {
  auth: { persistSession: false, autoRefreshToken: false },
  global: { fetch: past },
  realtime: { transport: class {} },
})
const table = () => client.from('scheduled_messages')
const done = (what) => console.log(`ok: ${what}`)

// Its schema cache is loaded when the table can be read.
const before = Date.now()
for (;;) {
  const { error } = await table().select('id').limit(1)
  if (!error) break
  if (Date.now() - before > 30_000) throw new Error(`PostgREST does not serve: ${JSON.stringify(error)}`)
}

const at = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString()
const inserted = await table().insert({ to_number: '+15550000009', body: 'new', scheduled_at: at(1) }).select().single()
assert.equal(inserted.status, 201, JSON.stringify(inserted.error))
assert.equal(inserted.data.status, 'pending')
const id = inserted.data.id
done('insert')

const edited = await table().update({ body: 'edited', scheduled_at: at(2) }).eq('id', id).select().single()
assert.equal(edited.status, 200, JSON.stringify(edited.error))
assert.equal(edited.data.body, 'edited')
assert.equal(edited.data.version, inserted.data.version + 1)
done('edit')

const cancelled = await table().update({ status: 'cancelled' }).eq('id', id).select().single()
assert.equal(cancelled.status, 200, JSON.stringify(cancelled.error))
assert.equal(cancelled.data.status, 'cancelled')
assert.ok(cancelled.data.cancelled_at)
done('cancel')

const late = await table().update({ status: 'cancelled' }).eq('to_number', '+15550000001')
assert.equal(late.status, 409, JSON.stringify(late))
assert.equal(late.error.code, 'PT409')
assert.match(late.error.message, /^message [0-9a-f-]{36} is sending; it is too late to cancel it$/)
done(`late cancel: ${late.status}, ${late.error.message.replace(/[0-9a-f-]{36}/, 'ID')}`)

const lateEdit = await table().update({ body: 'other' }).eq('to_number', '+15550000001')
assert.equal(lateEdit.status, 409, JSON.stringify(lateEdit))
assert.match(lateEdit.error.message, /is sending; it is too late to change it$/)
done('late edit: 409')

const bulk = await table().update({ status: 'cancelled' }).eq('to_number', '+15550000002').select()
assert.equal(bulk.status, 200, JSON.stringify(bulk.error))
assert.equal(bulk.data.length, 2, 'two were cancelled, for one it is too late')
assert.ok(bulk.data.every((row) => row.status === 'cancelled'))
done('bulk cancel: 200, the one that is being sent is skipped')

const guarded = await table().update({ status: 'cancelled' })
  .eq('to_number', '+15550000001').eq('status', 'pending').select()
assert.equal(guarded.status, 200)
assert.equal(guarded.data.length, 0)
done('cancel of what is still pending: 200 and no row')

const lateDelete = await table().delete().eq('to_number', '+15550000001')
assert.equal(lateDelete.status, 409, JSON.stringify(lateDelete))
assert.match(lateDelete.error.message, /it is too late to delete it$/)
const deleted = await table().delete().eq('to_number', '+15550000003').select()
assert.equal(deleted.status, 200, JSON.stringify(deleted.error))
assert.equal(deleted.data.length, 1)
done('delete, and late delete: 409')

// Whole rows, read and written back with another column changed.
const sent = await table().select().eq('to_number', '+15550000004')
assert.ok(sent.data.length === 2 && sent.data.every((row) => row.status === 'delivered'), JSON.stringify(sent))
const [one] = sent.data
const saved = await table().update({ ...one, metadata: { seen: true } }).eq('id', one.id).select().single()
assert.equal(saved.status, 200, JSON.stringify(saved.error))
assert.deepEqual(saved.data.metadata, { seen: true })
const single = await table().upsert({ ...one, metadata: { n: 1 } }).select().single()
assert.equal(single.status, 200, JSON.stringify(single.error))
const cut = (row) => ({ ...row, scheduled_at: new Date(row.scheduled_at).toISOString(), metadata: { n: 2 } })
const bulk2 = await table().upsert(sent.data.map(cut)).select()
assert.equal(bulk2.status, 200, JSON.stringify(bulk2.error))
assert.ok(bulk2.data.every((row) => row.metadata.n === 2))
for (const late of [table().update({ body: 'other' }).eq('id', one.id), table().upsert({ ...one, body: 'other' }),
  table().update({ scheduled_at: at(3) }).eq('id', one.id), table().upsert({ ...one, to_number: '+15550000008' })]) {
  const { status, error } = await late
  assert.equal(status, 409, JSON.stringify(error))
  assert.equal(error.message, `message ${one.id} is delivered; it is too late to change it`)
  assert.match(error.hint, /insert a new row/)
}
done('a row that was delivered: saved whole, alone and in bulk; its text, time and number: 409')

// One message a key: the index is of what is in progress, which `onConflict` cannot say.
const keyed = { to_number: '+15550000005', body: 'first', scheduled_at: at(5), dedup_key: 'k' }
const partial = await table().upsert(keyed, { onConflict: 'dedup_key' })
assert.equal(partial.error.code, '42P10', JSON.stringify(partial))
assert.equal((await table().insert(keyed)).status, 201)
const twice = await table().insert(keyed)
assert.equal(twice.status, 409)
assert.equal(twice.error.code, '23505')
const again = await client.rpc('schedule_once', { message: { ...keyed, body: 'second' } })
assert.equal(again.status, 200, JSON.stringify(again.error))
const all = await table().select().eq('dedup_key', 'k')
assert.deepEqual(all.data.map((row) => row.body), ['second'])
await table().update({ status: 'cancelled' }).eq('dedup_key', 'k')
const next = await client.rpc('schedule_once', { message: { ...keyed, body: 'third' } })
assert.equal(next.status, 200, JSON.stringify(next.error))
assert.equal((await table().select().eq('dedup_key', 'k')).data.length, 2, 'a key is free again')
done('dedup_key: 42P10 by onConflict, 23505 by insert, moved by schedule_once')

// The functions for apps, by the module of docs/api.md.
const { punctual } = await import(process.env.API_MODULE)
const messages = punctual(client)
const in_an_hour = new Date(Date.now() + 3_600_000)
const made = await messages.schedule({
  to_number: '+15550000006', scheduled_at: in_an_hour.toISOString(), body: 'hello', metadata: { order: 17 },
})
assert.ok(made.ok, JSON.stringify(made))
assert.equal(made.status, 'pending')
const owned = await table().select().eq('id', made.id).single()
assert.equal(owned.data.created_by, '11111111-1111-4111-8111-111111111111', 'a default of the table')
const moved = await messages.reschedule(made.id, new Date(Date.now() + 7_200_000))
assert.ok(moved.ok && new Date(moved.scheduled_at) > in_an_hour, JSON.stringify(moved))
assert.equal((await messages.cancel(made.id)).ok, true)
const story = await messages.story(made.id)
assert.equal(story.status, 'cancelled')
assert.deepEqual(story.changes.map((change) => change.columns), [['scheduled_at'], ['status']])
assert.equal(story.changes[0].subject, '11111111-1111-4111-8111-111111111111')
assert.deepEqual(await messages.reschedule(made.id, in_an_hour),
  { ok: false, late: false, reason: 'it was cancelled', status: 'cancelled' })
const underWay = (await table().select('id').eq('to_number', '+15550000001').single()).data.id
assert.deepEqual(await messages.cancel(underWay),
  { ok: false, late: true, reason: 'it is being sent this moment', status: 'sending' })
assert.equal((await messages.status(underWay)).status, 'sending')
assert.equal((await messages.status('22222222-2222-4222-8222-222222222222')).ok, false)
const bad = await client.schema('punctual_api').rpc('schedule_message',
  { to_number: '555 0000', scheduled_at: in_an_hour.toISOString(), body: 'hello' })
assert.equal(bad.status, 422, JSON.stringify(bad))
assert.equal(bad.error.code, 'PT422')
assert.match(bad.error.message, /to_number must be/)
assert.ok(bad.error.hint)
await assert.rejects(messages.schedule({ to_number: '+15550000006', scheduled_at: in_an_hour.toISOString() }),
  (error) => error.code === 'PT422' && /either a body or a template/.test(error.message))
const stranger = await fetch(`${base}/rpc/message_status`, {
  method: 'POST', headers: { 'content-type': 'application/json', 'content-profile': 'punctual_api' },
  body: JSON.stringify({ id: made.id }),
})
assert.equal(stranger.status, 401, 'anon may not')
done('punctual_api: schedule, move, cancel, story, too late, 422 with a hint, and nothing for anon')

const { inApp } = await import(process.env.IN_APP_MODULE)
const shown = inApp(client)
const mine = '11111111-1111-4111-8111-111111111111'
assert.deepEqual((await shown.latest()).map((message) => [message.body, message.read_at]), [[`for ${mine}`, null]])
await shown.markRead((await shown.latest())[0].id)
assert.notEqual((await shown.latest())[0].read_at, null)
const inAppTable = () => client.schema('punctual_api').from('in_app_messages')
for (const refused of [
  await inAppTable().update({ body: 'another' }).eq('user_id', mine),
  await inAppTable().delete().eq('user_id', mine),
  await inAppTable().insert({ user_id: mine, message_id: mine, part: 1, body: 'x' }),
]) assert.equal(refused.status, 403, JSON.stringify(refused))
done('in_app_messages: a user reads their own and marks them as read, and nothing else')

// As docs/web-push.md grants it.
const pushTable = () => client.schema('punctual_api').from('push_subscriptions')
const keys = { p256dh: 'B'.repeat(87), auth: 'A'.repeat(22) }
const subscription = (n, user_id = mine) => ({ user_id, endpoint: `https://push.example/${n}`, ...keys })
const upserted = await pushTable().upsert(subscription(1), { onConflict: 'endpoint', ignoreDuplicates: true })
assert.equal(upserted.status, 201, JSON.stringify(upserted))
const live = await pushTable().select('endpoint, ended_at')
assert.deepEqual(live.data, [{ endpoint: 'https://push.example/1', ended_at: null }], JSON.stringify(live))
const another = '22222222-2222-4222-8222-222222222222'
for (const refused of [
  await pushTable().insert(subscription(2, another)),
  await pushTable().insert({ ...subscription(2), ended_at: null }),
  await pushTable().update({ ended_at: new Date().toISOString() }).eq('user_id', mine),
  await client.schema('punctual').rpc('end_push', { whose: 'https://push.example/1', why: 'x' }),
]) assert.ok([403, 404, 406].includes(refused.status), JSON.stringify(refused))
for (let n = 2; n <= 20; n++) assert.equal((await pushTable().insert(subscription(n))).status, 201)
const over = await pushTable().insert(subscription(21))
assert.equal(over.status, 422, JSON.stringify(over))
assert.match(over.error.message, /20 push subscriptions/)
assert.equal((await pushTable().delete().eq('user_id', mine)).status, 204)
const strangers = await fetch(`${base}/push_subscriptions`, { headers: { 'accept-profile': 'punctual_api' } })
assert.equal(strangers.status, 401, 'anon may not')
done('push_subscriptions: a user inserts, reads and deletes their own, up to 20, and nothing else')

const hidden = await client.schema('punctual').from('attempts').select()
assert.ok(hidden.error, 'the private schema is not served')
done('schema punctual is not served')
