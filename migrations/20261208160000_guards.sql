-- Numbers in countries that texts are not sent to are found ahead too. Those that were found so far stay, and what was
-- checked ahead is checked once more: before this no country was refused.
insert into punctual.migrations (version, name, checksum)
values (20261208160000, 'migrations/20261208160000_guards.sql', '')
on conflict (version) do nothing;

alter table punctual.number_faults drop constraint if exists number_faults_fault_check;
alter table punctual.number_faults add constraint number_faults_fault_check
  check (fault in ('country_code', 'length', 'unassigned', 'premium', 'country'));
delete from punctual.number_checks;
