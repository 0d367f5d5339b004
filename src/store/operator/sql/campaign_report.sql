-- What a campaign has come to.
-- $1 campaign
select r.messages, r.waiting, r.sent, r.delivered, r.failed, r.cancelled, r.unconfirmed, r.replied, r.replies, r.opted_out,
       r.cost_usd::float8 as cost_usd, r.cost_known_of, r.prices, r.reasons
  from punctual.campaign_report($1::uuid) r
