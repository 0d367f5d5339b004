// A page on which a person schedules text messages, moves them, cancels them, and sees where they are.
import { createClient } from '@supabase/supabase-js'
import express from 'express'
import { page } from './page.js'
import { punctual } from './punctual.js'

const { SUPABASE_URL, SUPABASE_SECRET_KEY, PORT = '3000' } = process.env
if (!SUPABASE_URL || !SUPABASE_SECRET_KEY) {
  console.error('set SUPABASE_URL and SUPABASE_SECRET_KEY: Project Settings → API Keys')
  process.exit(64)
}
// The secret key passes row level security, so it stays in this process. In an app with logins make a client for each
// request, with the publishable key and the user's token: your policies then decide whose messages it sees.
const supabase = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, {
  auth: { persistSession: false, autoRefreshToken: false },
  // It subscribes to nothing, and Node 20 has no WebSocket.
  realtime: { transport: globalThis.WebSocket ?? class {} },
})
const messages = punctual(supabase)

const app = express()
app.disable('x-powered-by')
app.use(express.urlencoded({ extended: false, limit: '16kb' }))
// A form of another site may not act here.
app.use((request, response, next) => {
  const from = request.get('sec-fetch-site')
  if (request.method === 'POST' && from && from !== 'same-origin') return response.sendStatus(403)
  next()
})

const show = async (response, status = 200, notice = '') => {
  const { data, error } = await supabase.from('scheduled_messages')
    .select('id, to_number, body, scheduled_at, status, sent_at, error_message, cancel_reason')
    .order('scheduled_at', { ascending: false }).limit(50)
  if (error) throw new Error(error.message)
  response.status(status).type('html').send(page(data, notice))
}

// What a form says, or null: the page says what is wrong with it.
const time = (text) => {
  const at = new Date(`${text}Z`)
  return Number.isNaN(at.getTime()) ? null : at
}

// Shows the answer: done, or why not. `late` means that it is being sent or was.
const answer = async (response, done) => {
  try {
    const result = await done()
    if (result.ok) return response.redirect(303, '/')
    await show(response, 409, result.late ? `Too late: ${result.reason}.` : `Not done: ${result.reason}.`)
  } catch (error) {
    // Bad input: nothing was written, and the hint says what to do.
    if (error.code !== 'PT422') throw error
    await show(response, 422, [error.message, error.hint].filter(Boolean).join('. '))
  }
}

app.get('/', (request, response) => show(response))

app.post('/messages', async (request, response) => {
  const at = time(request.body.at)
  if (!at) return show(response, 422, 'Write the time in UTC, as 2030-01-31T18:00:00.')
  await answer(response, () => messages.schedule({
    to_number: request.body.to, body: request.body.body, scheduled_at: at.toISOString(),
  }))
})

app.post('/messages/:id/move', async (request, response) => {
  const at = time(request.body.at)
  if (!at) return show(response, 422, 'Write the time in UTC, as 2030-01-31T18:00:00.')
  await answer(response, () => messages.reschedule(request.params.id, at))
})

app.post('/messages/:id/text', (request, response) => answer(response, async () => {
  // An edit is an update of the row; once the message is being sent, it is refused with 409.
  const { data, error } = await supabase.from('scheduled_messages')
    .update({ body: request.body.body }).eq('id', request.params.id).select('id')
  if (error?.code === 'PT409') return { ok: false, late: true, reason: error.message }
  if (error) throw Object.assign(new Error(error.message), { code: error.code, hint: error.hint })
  return data.length ? { ok: true } : { ok: false, late: false, reason: 'there is no such message' }
}))

app.post('/messages/:id/cancel', (request, response) =>
  answer(response, () => messages.cancel(request.params.id)))

app.get('/messages/:id', async (request, response) => {
  const story = await messages.story(request.params.id)
  response.status(story.ok ? 200 : 404).json(story)
})

app.use((error, request, response, next) => {
  console.error(error.message)
  if (response.headersSent) return next(error)
  response.status(502).type('text').send('The database did not do it. The log of this server says why.\n')
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/`)
})
