-- The templates that the papers of preset `buildos` have, where the app has none of that key. One that its table
-- refuses, because that has other columns, is left out.
do $$
begin
  insert into public.sms_templates (template_key, name, message_template, template_vars)
  select w.key, w.name, w.words, w.vars::jsonb
    from (values
      ('task_reminder', 'Task reminder', 'BuildOS: {{task_name}} is due {{due_time}}. {{task_context}}',
       '{"task_name": "string", "due_time": "string", "task_context": "string"}'),
      ('daily_brief_ready', 'Daily brief ready',
       'Your BuildOS daily brief is ready! Key focus: {{main_focus}}. Check the app for details.', '{"main_focus": "string"}'),
      ('urgent_task', 'Urgent task', 'URGENT: {{task_name}} needs attention. Due: {{due_date}}. Reply STOP to opt out.',
       '{"task_name": "string", "due_date": "string"}')
    ) as w (key, name, words, vars)
   where not exists (select from public.sms_templates t where t.template_key = w.key);
exception when syntax_error_or_access_rule_violation or integrity_constraint_violation or data_exception then
  raise notice 'the templates of preset buildos were left out: %', sqlerrm;
end
$$
