// punctual.js
/**
 * @typedef {{
 *   to_number: string, scheduled_at: string, body?: string, template?: string, vars?: Record<string, unknown>,
 *   user_id?: string, from_number?: string, timezone?: string, message_type?: string,
 *   priority?: 'low' | 'normal' | 'high' | 'urgent', send_before?: string, dedup_key?: string, channel?: string,
 *   campaign_id?: string, conversation_id?: string, metadata?: Record<string, unknown>, media_urls?: string[]
 * }} Message
 * @typedef {'pending' | 'sending' | 'sent' | 'delivered' | 'failed' | 'cancelled' | 'unconfirmed'} Status
 * @typedef {{ ok: false, late: boolean, reason: string, status?: Status, id?: string | null }} Refused
 * @typedef {{ ok: true, id: string, status: Status, scheduled_at: string }} Scheduled
 * @typedef {{ ok: true, id: string, status: Status, cancelled_at: string }} Cancelled
 * @typedef {{
 *   ok: true, id: string, status: Status, scheduled_at: string, due: string, version: number, attempts: number,
 *   sent_at: string | null, delivered_at: string | null, cancelled_at: string | null, cancel_reason: string | null,
 *   error_message: string | null, error_code: number | null, deferred_until: string | null,
 *   deferred_reason: string | null, next_attempt_at: string | null, parts_done: number, parts_total: number | null
 * }} Standing
 * @typedef {Omit<Standing, 'attempts'> & {
 *   attempts: { number: number, part: number, outcome: string | null, provider_sid: string | null, error: string | null }[],
 *   receipts: { received_at: string, status: string, error_code: number | null }[],
 *   changes: { at: string, op: 'update' | 'delete', role: string, subject: string | null, columns: string[] }[],
 *   notes: { at: string, note: string }[]
 * }} Story
 */

/** @param {import('@supabase/supabase-js').SupabaseClient<any, any, any>} supabase */
export function punctual(supabase) {
  /** @param {string} name @param {object} args @returns {Promise<any>} */
  const call = async (name, args) => {
    const { data, error } = await supabase.schema('punctual_api').rpc(name, args)
    if (error) throw Object.assign(new Error(error.message), { code: error.code, hint: error.hint })
    return data
  }
  return {
    /** @param {Message} message @returns {Promise<Scheduled | Refused>} */
    schedule: (message) => call('schedule_message', message),
    /** @param {string} id @param {Date} at @returns {Promise<Scheduled | Refused>} */
    reschedule: (id, at) => call('reschedule_message', { id, at: at.toISOString() }),
    /** @param {string} id @returns {Promise<Cancelled | Refused>} */
    cancel: (id) => call('cancel_message', { id }),
    /** @param {string} id @returns {Promise<Standing | Refused>} */
    status: (id) => call('message_status', { id }),
    /** @param {string} id @returns {Promise<Story | Refused>} */
    story: (id) => call('message_story', { id }),
    /** @param {string} template @param {Record<string, unknown>} vars @returns {Promise<{ ok: true, body: string }>} */
    preview: (template, vars) => call('render_template', { template, vars }),
    /** Calls `seen` with each status that it reaches. @param {string} id @param {(status: Status) => void} seen */
    follow: (id, seen) => supabase.channel(`message ${id}`).on('postgres_changes',
      { event: 'UPDATE', schema: 'public', table: 'scheduled_messages', filter: `id=eq.${id}` },
      ({ new: row }) => seen(row.status)).subscribe(),
  }
}
