-- Keeps what the endpoint of a job has answered.
-- $1 the message of the job  $2 the status  $3 the answer, or why it is not kept  $4 whether it is all of it
select punctual.job_answer($1::uuid, $2::int, $3::text, $4::boolean)
