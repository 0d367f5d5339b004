// An app's saves through TypeORM: a row that was sent is loaded, one column changed, and saved whole.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const require = createRequire(process.env.SUPABASE_TOOLS + '/')
require('reflect-metadata')
const { DataSource, EntitySchema } = require('typeorm')

const Message = new EntitySchema({
  name: 'Message',
  tableName: 'scheduled_messages',
  columns: {
    id: { type: 'uuid', primary: true },
    to_number: { type: 'text' },
    from_number: { type: 'text', nullable: true },
    body: { type: 'text' },
    scheduled_at: { type: 'timestamptz' },
    send_before: { type: 'timestamptz', nullable: true },
    channel: { type: 'text', nullable: true },
    template_vars: { type: 'jsonb', nullable: true },
    status: { type: 'text' },
    metadata: { type: 'jsonb' },
  },
})
const source = await new DataSource({ type: 'postgres', url: process.env.DATABASE_URL, entities: [Message] }).initialize()
const rows = source.getRepository(Message)
const done = (what) => console.log(`ok: TypeORM: ${what}`)

for (const status of ['sending', 'sent', 'delivered', 'unconfirmed']) {
  const row = await rows.findOneByOrFail({ status })
  // `save` writes what differs from the row; `upsert` writes all of it, its times in milliseconds.
  row.metadata = { ...row.metadata, seen: status }
  await rows.save(row)
  await rows.upsert({ ...row, metadata: { all: status } }, ['id'])
  const { affected } = await rows.update({ id: row.id }, { ...row, metadata: { whole: status } })
  assert.equal(affected, 1)
  const after = await rows.findOneByOrFail({ id: row.id })
  assert.deepEqual(after.metadata, { whole: status })
  await assert.rejects(rows.save({ ...after, body: 'other' }), (error) => {
    assert.equal(error.code, 'PT409')
    assert.match(error.message, new RegExp(`message ${row.id} is ${status}; it is too late to change it`))
    return true
  })
  done(`${status}: another column is saved, the text is not`)
}
await source.destroy()
