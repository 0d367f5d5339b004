-- Adds the uses of templates since the last time to the app's counts.
select punctual.count_template_uses()
 where exists (select from punctual.template_uses)
